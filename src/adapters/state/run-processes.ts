import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { RunId, RunProcess, RunProcesses } from '../../ports/run-store.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { type FoundLease, readLeases } from './lease-files.ts';
import { ownIdentity } from './process-identity.ts';

/** Finds processes by the leases that they hold: whoever works on a run holds one in its name, with what tells its process from every other. */
export function createRunProcesses(stateDirectory: string): RunProcesses {
  const locks = join(stateDirectory, 'locks');
  const find = (runId: RunId) => translating(`look for the process of ${runId}`, () => findProcess(locks, runId));
  return {
    find,
    async terminate(runId) {
      const found = await find(runId);
      return found?.place === 'here' && signal(runId, found.pid);
    },
  };
}

async function findProcess(locks: string, runId: RunId): Promise<RunProcess | undefined> {
  const leases = await readLeases(locks, { ...(await ownIdentity()), host: hostname() });
  const lease = leases.find(({ record }) => record.name === runId);
  return lease === undefined ? undefined : describe(lease);
}

async function describe({ record: { pid, host }, life }: FoundLease): Promise<RunProcess> {
  const place = life === 'alive' ? 'here' : 'elsewhere';
  return { pid, host, place, isService: place === 'here' && (await isDaemon(pid)) };
}

/** `spoke-backup daemon`, by its command line. */
async function isDaemon(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').includes('daemon');
}

function signal(runId: RunId, pid: number): boolean {
  try {
    return process.kill(pid, 'SIGTERM');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ESRCH') return false;
    throw new SpokeError('REFUSED_PRECONDITION', `process ${pid}, which works on ${runId}, belongs to another user`, {
      hint: `As that user, or as root: spoke-backup runs cancel ${runId}`,
      cause: thrown,
    });
  }
}
