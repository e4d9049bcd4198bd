/**
 * Takes a lock and prints `held` or the error's code, then waits to be ended, or ends by itself without releasing where the
 * last argument is `leave`. Arguments: state directory, key, host name, `stay` or `leave`.
 */
import { createRunLock } from '../../src/adapters/state/run-lock.ts';
import { SpokeError } from '../../src/errors.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';
import type { RunId } from '../../src/ports/run-store.ts';

const [stateDirectory = '', key = '', host = '', afterwards = ''] = process.argv.slice(2);

process.stdin.once('data', () => void takeIt());
process.stdin.once('end', () => process.exit(0));
process.stdout.write('ready\n');

async function takeIt(): Promise<void> {
  try {
    const runId = `20261122T211628Z-backup-${process.pid}` as RunId;
    await createRunLock(stateDirectory).acquire(key, { runId, pid: process.pid, host, since: instantOfMicros(0n) });
    process.stdout.write('held\n');
  } catch (thrown) {
    process.stdout.write(`${thrown instanceof SpokeError ? thrown.code : String(thrown)}\n`);
  }
  if (afterwards === 'leave') process.exit(0);
}
