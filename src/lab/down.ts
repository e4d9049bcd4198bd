import { readFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../errors.ts';
import { releasePorts } from './claim-ports.ts';
import { throwIfCancelled, waitUntil, type LabContext } from './context.ts';
import { readLabFile, type LabFile, type LabS3 } from './description.ts';
import { findLabProcesses, type LabProcess } from './lab-processes.ts';
import { readStartIdentity } from './process-table.ts';
import { emptyPrefix } from './s3-server/server.ts';

/** What was taken down. */
export interface LabDownResult {
  readonly schema: 1;
  readonly directory: string;
  /** false where there was nothing. */
  readonly existed: boolean;
  readonly endedProcesses: number;
}

export type LabDownContext = Pick<LabContext, 'signal' | 'report'>;

const FAST_SHUTDOWN_MS = 10_000;
const IMMEDIATE_SHUTDOWN_MS = 3_000;
const KILL_MS = 10_000;
/** Whoever made the lab and was killed may have forked: until it runs a program of its own, the child cannot be told from its parent. */
const UNBORN_MS = 500;
/** A process that is ended while it forks leaves a child that only the next look finds. */
const MAX_ROUNDS = 20;

/**
 * Ends everything that lives in the lab and removes the directory. Works also when `labUp` was killed half-way or some
 * processes have died. Idempotent: no directory, nothing to do. Throws REFUSED_UNSAFE_DIRECTORY where the directory is not a
 * lab of this user, LOCKED while `labUp` still makes it.
 */
export async function labDown(directory: string, context: LabDownContext): Promise<LabDownResult> {
  const lab = await readLabFile(directory);
  if (lab === undefined) return { schema: 1, directory, existed: false, endedProcesses: 0 };
  await refuseWhileCreating(lab);
  const ended = new Set<number>();
  await stopServers(lab.directory, ended, context);
  await killAll(lab.directory, ended, context);
  if (lab.state === 'creating') {
    await delay(UNBORN_MS);
    await killAll(lab.directory, ended, context);
  }
  if (lab.s3?.kind === 'external') await emptyExternal(lab.s3, context);
  await rm(lab.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  await releasePorts(lab.directory);
  context.report(`lab: ${lab.directory} is gone, ${ended.size} processes ended`);
  return { schema: 1, directory: lab.directory, existed: true, endedProcesses: ended.size };
}

async function refuseWhileCreating(lab: LabFile): Promise<void> {
  const { pid, startIdentity } = lab.creator;
  if (lab.state !== 'creating' || pid === process.pid || (await readStartIdentity(pid)) !== startIdentity) return;
  throw new SpokeError('LOCKED', `The lab in ${lab.directory} is still being made by process ${pid}.`, {
    hint: `Wait for it, or end it first: kill ${pid}`,
    details: { pid },
  });
}

/** Fast shutdown (SIGINT), then immediate (SIGQUIT); see pg_ctl. */
async function stopServers(directory: string, ended: Set<number>, context: LabDownContext): Promise<void> {
  const servers = (await findLabProcesses(directory)).filter((each) => each.kind === 'server');
  for (const [signal, timeoutMs] of [
    ['SIGINT', FAST_SHUTDOWN_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS],
  ] as const) {
    const living = await stillAlive(servers);
    if (living.length === 0) return;
    for (const server of living) await end(server, signal, ended);
    await waitUntil('the servers are down', timeoutMs, context.signal, () => noneAlive(servers)).catch((thrown: unknown) => {
      throwIfCancelled(context.signal);
      context.report(`lab: ${signal} did not stop every server: ${String(thrown)}`);
    });
  }
}

async function killAll(directory: string, ended: Set<number>, context: LabDownContext): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const living = await findLabProcesses(directory);
    if (living.length === 0) return;
    for (const each of living) await end(each, 'SIGKILL', ended);
    await waitUntil('the processes of the lab are gone', KILL_MS, context.signal, () => noneAlive(living));
  }
  throw new SpokeError('INTERNAL', `New processes appear in ${directory} as fast as they are ended.`);
}

/** Signals the very process that was found, never a later one with the same pid. */
async function end(target: LabProcess, signal: NodeJS.Signals, ended: Set<number>): Promise<void> {
  if ((await readStartIdentity(target.pid)) !== target.startIdentity) return;
  try {
    process.kill(target.pid, signal);
    ended.add(target.pid);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ESRCH') return;
    throw new SpokeError(
      'REFUSED_PRECONDITION',
      `Process ${target.pid} (${target.name}) of the lab cannot be ended: ${code ?? 'unknown reason'}.`,
      { cause: thrown },
    );
  }
}

async function stillAlive(processes: readonly LabProcess[]): Promise<readonly LabProcess[]> {
  const identities = await Promise.all(processes.map((each) => readStartIdentity(each.pid)));
  return processes.filter((each, index) => identities[index] === each.startIdentity);
}

async function noneAlive(processes: readonly LabProcess[]): Promise<true | undefined> {
  return (await stillAlive(processes)).length === 0 ? true : undefined;
}

/** Somebody else's bucket gets back as it was. A server that does not answer does not keep the lab from going. */
async function emptyExternal(s3: LabS3, context: LabDownContext): Promise<void> {
  try {
    const [accessKey, secretKey] = await Promise.all([s3.accessKeyFile, s3.secretKeyFile].map((path) => readFile(path, 'utf8')));
    const connection = { ...s3, accessKey: accessKey?.trim() ?? '', secretKey: secretKey?.trim() ?? '' };
    const removed = await emptyPrefix(connection, `${s3.pathPrefix.slice(1)}/`, context.signal);
    context.report(`lab: removed ${removed} objects below ${s3.pathPrefix} of ${s3.bucket}`);
  } catch (thrown) {
    throwIfCancelled(context.signal);
    context.report(`lab: objects below ${s3.pathPrefix} of ${s3.bucket} may be left: ${String(thrown)}`);
  }
}
