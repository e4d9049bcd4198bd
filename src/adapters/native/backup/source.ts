import type { SystemIdentifier } from '../../../domain/postgres/system-identifier.ts';
import { formatLsn, type Lsn } from '../../../domain/postgres/lsn.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ServerAddress, ServerObservation } from '../../../ports/postgres-server.ts';
import { throwIfCancelled } from '../cancelled.ts';
import type { NativeParts } from '../parts.ts';

const CATCH_UP_MS = 30_000;
const PAUSE_MS = 500;

/** A server of the cluster as it answered. */
export interface ObservedNode {
  readonly name: string;
  readonly address: ServerAddress;
  readonly server: ServerObservation;
}

/** Where a backup is taken from. */
export interface BackupSource {
  readonly primary: ObservedNode;
  readonly from: ObservedNode;
}

/** The one primary of the cluster. Throws POSTGRES_UNAVAILABLE, REFUSED_WRONG_CLUSTER, REFUSED_PRECONDITION where there are two. */
export async function findPrimary(
  parts: NativeParts,
  systemIdentifier: SystemIdentifier | undefined,
  context: OperationContext,
): Promise<ObservedNode> {
  return primaryOf(await observeNodes(parts, context), systemIdentifier);
}

/** Chooses the server as the settings say. Says why where it is not a standby that was asked for. */
export async function chooseSource(
  parts: NativeParts,
  systemIdentifier: SystemIdentifier,
  context: OperationContext,
): Promise<BackupSource> {
  const nodes = await observeNodes(parts, context);
  const primary = primaryOf(nodes, systemIdentifier);
  if (parts.settings.backupFrom === 'primary') return { primary, from: primary };
  const reasons: string[] = [];
  for (const node of nodes) {
    if ('error' in node) reasons.push(`${node.name} does not answer (${node.error.message})`);
    else if (node.server.inRecovery && node.server.systemIdentifier === systemIdentifier) {
      const reason = await whyBehind(parts, node, primary, context);
      if (reason === undefined) return { primary, from: node };
      reasons.push(reason);
    }
  }
  const why = reasons.length === 0 ? 'there is no standby' : reasons.join('; ');
  context.onProgress?.({ phase: `from the primary ${primary.name}, since ${why}` });
  return { primary, from: primary };
}

type Answer = ObservedNode | { readonly name: string; readonly error: SpokeError };

async function observeNodes({ settings, postgres }: NativeParts, context: OperationContext): Promise<readonly Answer[]> {
  const answers = await Promise.all(
    settings.nodes.map(async ({ name, address: resolve }): Promise<Answer | undefined> => {
      try {
        const address = await resolve();
        return address === undefined
          ? undefined
          : { name, address, server: await postgres.observeServer(address, { signal: context.signal }) };
      } catch (thrown) {
        return { name, error: asSpokeError(thrown) };
      }
    }),
  );
  throwIfCancelled(context.signal);
  return answers.filter((answer) => answer !== undefined);
}

function primaryOf(nodes: readonly Answer[], systemIdentifier: SystemIdentifier | undefined): ObservedNode {
  const answering = nodes.filter((node): node is ObservedNode => 'server' in node);
  const ours = answering.filter(({ server }) => systemIdentifier === undefined || server.systemIdentifier === systemIdentifier);
  const [foreign] = answering;
  if (foreign !== undefined && ours.length === 0)
    throw new SpokeError(
      'REFUSED_WRONG_CLUSTER',
      `node ${foreign.name} has system identifier ${foreign.server.systemIdentifier}, and the repository is of ${systemIdentifier ?? ''}`,
    );
  const [primary, other] = ours.filter(({ server }) => !server.inRecovery);
  if (primary !== undefined && other !== undefined)
    throw new SpokeError(
      'REFUSED_PRECONDITION',
      `${primary.name} and ${other.name} both accept writes: which one is the cluster's primary?`,
    );
  if (primary !== undefined) return primary;
  const failed = nodes.find((node) => 'error' in node);
  if (failed !== undefined) throw failed.error;
  throw new SpokeError('POSTGRES_UNAVAILABLE', 'no primary of the cluster answers');
}

/** Undefined once the standby has replayed what the primary had written when it was asked. */
async function whyBehind(
  { postgres, clock }: NativeParts,
  { name, address }: ObservedNode,
  primary: ObservedNode,
  context: OperationContext,
): Promise<string | undefined> {
  const wanted = primary.server.lsn;
  const startedMs = clock.monotonicMs();
  for (;;) {
    const state = await postgres.observeRecovery(address, { signal: context.signal });
    if (!state.inRecovery) return `${name} was promoted just now`;
    if (state.paused) return `the replay of ${name} is paused`;
    if (wanted !== undefined && state.replayLsn !== undefined && state.replayLsn >= wanted) return undefined;
    if (clock.monotonicMs() - startedMs >= CATCH_UP_MS)
      return `${name} has replayed up to ${lsnText(state.replayLsn)} only, not ${lsnText(wanted)}`;
    await clock.sleep(PAUSE_MS, context.signal);
  }
}

function lsnText(lsn: Lsn | undefined): string {
  return lsn === undefined ? 'an unknown position' : formatLsn(lsn);
}
