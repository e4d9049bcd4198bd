import type { ClusterConfig } from '../../config/model.ts';
import type { PatroniSighting } from '../../domain/patroni/view.ts';
import { asSpokeError, type ErrorCode } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** What keeps Patroni from being seen, and nothing else from it. */
const ABOUT_PATRONI: readonly ErrorCode[] = [
  'PATRONI_UNAVAILABLE',
  'PATRONI_DENIED',
  'PATRONI_FAILED',
  'TIMED_OUT',
  'REFUSED_WRONG_CLUSTER',
  'SECRET_UNAVAILABLE',
];

/** What the Patroni of a cluster says, or why it says nothing; undefined where it has none. */
export async function observePatroni(
  { patroni: configured }: Pick<ClusterConfig, 'patroni'>,
  { patroni }: Pick<ReadPorts, 'patroni'>,
  context: OperationContext,
): Promise<PatroniSighting | undefined> {
  if (configured === undefined || patroni === undefined) return undefined;
  try {
    return { scope: configured.scope, view: await patroni.observe(context) };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (!ABOUT_PATRONI.includes(error.code)) throw error;
    return { scope: configured.scope, fault: error.message };
  }
}
