import type { ClusterConfig } from '../../config/model.ts';
import type { PatroniSighting, PatroniView } from '../../domain/patroni/view.ts';
import { SpokeError } from '../../errors.ts';

/** Refuses what Patroni looks after itself, and would take back. */
export function requireNoPatroni({ name, patroni }: Pick<ClusterConfig, 'name' | 'patroni'>, what: string): void {
  if (patroni === undefined) return;
  throw new SpokeError('REFUSED_PRECONDITION', `Patroni manages ${name}: ${what} is its business, and nothing is done beside it`, {
    hint: 'See what Patroni has to be told: spoke-backup setup patroni',
  });
}

/** What Patroni says. Throws PATRONI_UNAVAILABLE where it says nothing, or decides nothing because its configuration store is away. */
export function requireView(sighting: PatroniSighting | undefined): PatroniView {
  if (sighting === undefined) throw new SpokeError('CONFIG_INVALID', 'the cluster has no patroni in the configuration');
  const { view, fault } = sighting;
  if (view === undefined) throw new SpokeError('PATRONI_UNAVAILABLE', `the Patroni of ${sighting.scope} says nothing: ${fault}`);
  if (view.storeFault === undefined) return view;
  throw new SpokeError('PATRONI_UNAVAILABLE', `the Patroni of ${view.scope} cannot reach its configuration store: ${view.storeFault}`);
}
