import type { Ledger } from '../../../scripts/ledger.ts';
import { type Backup, type Lab, until } from '../../harness/lab.ts';

/** Resolves when what is committed from now on can be told from what the backups hold: they know whole seconds. */
export async function untilServed(ledger: Ledger, backups: readonly Backup[]): Promise<void> {
  const servedMs = Math.max(...backups.map((backup) => Date.parse(backup.stopTime))) + 1000;
  await until('instants are served', async () => (await ledger.serverMicros()) > BigInt(servedMs) * 1000n);
}

/** Resolves in a later second than the last row's: a backup that begins then is known to have begun after it. */
export async function untilNextSecond(ledger: Ledger): Promise<void> {
  const next = (ledger.last.committedMicros / 1_000_000n + 1n) * 1_000_000n;
  await until('the next second', async () => (await ledger.serverMicros()) >= next);
}

/** Resolves in a later second than now: what came into a repository until now is known to have come before. */
export async function untilLaterSecond(ledger: Ledger): Promise<void> {
  const next = ((await ledger.serverMicros()) / 1_000_000n + 1n) * 1_000_000n;
  await until('a later second', async () => (await ledger.serverMicros()) >= next);
}

/** Takes a backup, and waits until instants after it are served by it. */
export async function backUp(lab: Lab, ledger: Ledger, type: 'full' | 'incr', ...argv: string[]): Promise<readonly Backup[]> {
  const taken = await lab.backup(type, ...argv);
  await untilServed(ledger, taken);
  return taken;
}
