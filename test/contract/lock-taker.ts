/**
 * Claims a backup and prints `held` or who is in the way, then waits to be ended, or ends by itself without releasing where the
 * last argument is `leave`. Arguments: state directory, host name, `stay` or `leave`.
 */
import { createSystemClock } from '../../src/adapters/clock/clock.ts';
import { createLeaseFiles } from '../../src/adapters/state/lease-files.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';

const [stateDirectory = '', host = '', afterwards = ''] = process.argv.slice(2);

process.stdin.once('data', () => void takeIt());
process.stdin.once('end', () => process.exit(0));
process.stdout.write('ready\n');

async function takeIt(): Promise<void> {
  const store = createLeaseFiles(stateDirectory, createSystemClock());
  const claim = { verb: 'backup', cluster: 'main', repositories: ['s3'], host } as const;
  const holder = { name: `20261122T211628Z-backup-${process.pid}`, pid: process.pid, host, since: instantOfMicros(0n) };
  const attempt = await store.tryAcquire(claim, holder, new AbortController().signal).catch((thrown: unknown) => String(thrown));
  process.stdout.write(`${typeof attempt === 'string' ? attempt : attempt.kind}\n`);
  if (afterwards === 'leave') process.exit(0);
}
