import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { recoverySettings, withoutRecoverySettings } from '../../../domain/recovery/settings.ts';
import type { TimelineId } from '../../../domain/postgres/timeline.ts';
import type { RestoreRequest } from '../../../ports/backup-engine.ts';
import type { NativeParts } from '../parts.ts';
import { errnoOf, writeOwned } from './write-owned.ts';

const AUTO_CONF = 'postgresql.auto.conf';

/**
 * Has a server that starts in the directory recover as the request says, and in no way that its former life has left behind. `own.timeline` is
 * the backup's: its own end lies on no other, whatever was promoted since.
 */
export async function writeRecoveryFiles(
  parts: Pick<NativeParts, 'settings'>,
  { dataDirectory, target, timeline, targetAction, standby }: RestoreRequest,
  own: { readonly restoreCommand: string; readonly timeline: TimelineId },
): Promise<void> {
  const path = join(dataDirectory, AUTO_CONF);
  const kept = withoutRecoverySettings(await readOrEmpty(path));
  const followed = target.kind === 'immediate' && timeline === 'latest' ? own.timeline : timeline;
  const { restoreCommand } = own;
  const lines = Object.entries(recoverySettings(target, followed, { restoreCommand, targetAction })).map(
    ([name, value]) => `${name} = '${confValue(value)}'\n`,
  );
  await writeOwned(parts, path, `${kept}${kept === '' || kept.endsWith('\n') ? '' : '\n'}${lines.join('')}`);
  const [signal, other] = standby === true ? ['standby.signal', 'recovery.signal'] : ['recovery.signal', 'standby.signal'];
  await rm(join(dataDirectory, other), { force: true });
  await writeOwned(parts, join(dataDirectory, signal), '');
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return '';
    throw thrown;
  }
}

/** As PostgreSQL's configuration files have it between quotes. */
function confValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}
