import type { Lsn } from '../../domain/postgres/lsn.ts';
import { receivedLsn } from '../../domain/topology/lag.ts';
import type { ClusterNode, Topology } from '../../domain/topology/topology.ts';
import type { WalEnd } from '../../ports/instance.ts';

/** What is known of WAL beyond the candidate: by what other standbys have and were told of, and by what the old primary's files say. */
export function oldPrimaryWal(
  doubtful: readonly ClusterNode[],
  { standbys }: Topology,
  walEnds: ReadonlyMap<string, WalEnd>,
  candidate: WalEnd,
): { readonly lastKnown: readonly Lsn[]; readonly stoppedAt?: Lsn } {
  const lastKnown = [
    ...standbys.flatMap(({ server }) => [
      server.replication && receivedLsn(server.replication),
      server.replication?.receiver?.latestEndLsn,
    ]),
    ...doubtful.map(({ facts }) => facts.files?.checkpointLsn),
  ].filter((lsn) => lsn !== undefined);
  const [old] = doubtful;
  const stoppedAt = doubtful.length === 1 && old !== undefined ? whereItStopped(old, walEnds.get(old.node), candidate) : undefined;
  return stoppedAt === undefined ? { lastKnown } : { lastKnown, stoppedAt };
}

function whereItStopped({ facts: { files } }: ClusterNode, walEnd: WalEnd | undefined, { timeline, lsn }: WalEnd): Lsn | undefined {
  if (files === undefined || files.isRunning) return undefined;
  if (files.state !== 'shut down') return walEnd?.timeline === timeline ? walEnd.lsn : undefined;
  if (files.timeline !== timeline) return undefined;
  // Its last record is the shutdown checkpoint, which commits nothing: whoever is past its start has everything.
  return files.checkpointLsn > lsn ? files.checkpointLsn : lsn;
}
