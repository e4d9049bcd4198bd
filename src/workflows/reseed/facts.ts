import type { ClusterConfig } from '../../config/model.ts';
import { passfileText } from '../../domain/setup/conninfo.ts';
import type { ReplicationSlot } from '../../domain/topology/replication-facts.ts';
import { parseSeedMark, type SeedMark } from '../../domain/topology/seed-mark.ts';
import { SpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import { instanceOf } from '../hosts.ts';
import { observeServers } from '../observe-cluster.ts';
import { type FrontFacts, observeFront } from './front.ts';
import type { ReseedIntent } from './intent.ts';

const MOST_BYTES = 1024 * 1024;

/** What is there of the standby, on its host. */
export interface ReseedData {
  /** What lies beside the data directory; undefined where nothing was reserved, or not by this run. */
  readonly mark?: SeedMark;
  readonly destination: DirectoryFacts;
  readonly old?: DirectoryFacts;
  readonly areaExists: boolean;
  /** Whether this run has seen it stream: by the journal. */
  readonly hasStreamed: boolean;
}

/** Where a reseed stands, as the real system shows it. */
export interface ReseedProgress extends ReseedData {
  /** On the primary. */
  readonly slot?: ReplicationSlot;
  readonly passfileIsCurrent: boolean;
  readonly front: FrontFacts;
}

/** Looks at the standby, on its host, at its slot, at what stands in front, and at the journal. */
export async function observeReseed(
  cluster: ClusterConfig,
  intent: ReseedIntent,
  run: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReseedProgress> {
  const { node } = intent;
  const data = await observeReseedData(intent, run, ports, context);
  const slot = await slotOnPrimary(intent, ports, context);
  return {
    ...data,
    ...(slot === undefined ? {} : { slot }),
    passfileIsCurrent: await isPassfileCurrent(intent, { ...ports, instance: await instanceOf(node, ports, context) }),
    front: await observeFront(cluster, node, await observeServers(cluster, ports, context), ports, context),
  };
}

/** Looks at the standby alone. */
export async function observeReseedData(
  intent: ReseedIntent,
  { header: { runId }, entries }: StoredRun,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReseedData> {
  const { area, node, dataDirectory } = intent;
  const oldDataDirectory = intent.oldDataDirectory ?? intent.instead?.oldDataDirectory ?? null;
  const instance = await instanceOf(node, ports, context);
  const [destination, root, old] = await Promise.all([
    instance.inspectDirectory(dataDirectory, context),
    instance.inspectDirectory(area.root, context),
    oldDataDirectory === null ? undefined : instance.inspectDirectory(oldDataDirectory, context),
  ]);
  const mark = parseSeedMark(await instance.readFileTail(area.markerFile, MOST_BYTES));
  return {
    ...(mark === undefined || mark.runId !== runId ? {} : { mark }),
    destination,
    ...(old === undefined || old.kind === 'absent' ? {} : { old }),
    areaExists: root.kind !== 'absent',
    hasStreamed: entries.some(({ kind, ...entry }) => kind === 'step-finished' && 'step' in entry && entry.step === 'await-streaming'),
  };
}

async function slotOnPrimary(
  { primary, slot, systemIdentifier }: ReseedIntent,
  { access, postgres }: ReadPorts,
  context: OperationContext,
): Promise<ReplicationSlot | undefined> {
  const address = await access.addressOf(primary);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${primary} has no url in the configuration`);
  const server = await postgres.observeServer(address, context);
  if (String(server.systemIdentifier) !== systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${primary} is of another cluster (system identifier ${server.systemIdentifier})`);
  if (server.inRecovery)
    throw new SpokeError('REFUSED_PRECONDITION', `${primary} is no longer the primary`, {
      hint: 'Give this run up (spoke-backup runs cancel) and reseed anew.',
    });
  return (await postgres.observeReplication(address, context)).slots.find(({ name }) => name === slot);
}

async function isPassfileCurrent({ passfile }: ReseedIntent, { instance, setup }: ReadPorts): Promise<boolean> {
  if (passfile === null) return true;
  const password = await setup.secrets.replicationPassword();
  const present = await instance.readFileTail(passfile.path, MOST_BYTES);
  return password === undefined || present === passfileText(passfile.servers, passfile.role, password);
}
