import type { BackupLabel } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { VerifyReport } from '../../ports/backup-engine.ts';

/**
 * Reads `verify --output=text --verbose`, which exits with 0 whatever it found. One fault a line: the archive or backup, with
 * what is wrong with it. Throws TOOL_FAILED where the text gives no verdict: silence is no proof.
 */
export function readVerifyReport(text: string): VerifyReport {
  const lines = text.split('\n').map((line) => line.trim());
  const verdict = lines.map((line) => /^status: (\w+)/.exec(line)?.[1]).find((word) => word !== undefined);
  if (verdict === undefined)
    throw new SpokeError('TOOL_FAILED', `pgbackrest verify gave no verdict: ${text.trim().slice(0, 300) || 'it printed nothing'}`);
  const faults = faultsOf(lines);
  const ok = verdict === 'ok' && faults.length === 0;
  return { ok, faults: ok || faults.length > 0 ? faults : [`status: ${verdict}`], damagedBackups: damagedBackups(faults) };
}

function damagedBackups(faults: readonly string[]): BackupLabel[] {
  const labels = faults.flatMap((fault) => /^backup: ([^:,\s]+)/.exec(fault)?.[1] ?? []);
  return [...new Set(labels)] as BackupLabel[];
}

/** A line that names an archive or a backup is followed by one that counts its faults by kind. */
function faultsOf(lines: readonly string[]): string[] {
  const faults: string[] = [];
  let subject = '';
  for (const line of lines) {
    if (/^(?:archiveId|backup): /.test(line)) {
      subject = line.split(',')[0] ?? line;
      const status = /status: (?!valid\b)([^,]+)/.exec(line)?.[1];
      if (status !== undefined) faults.push(`${subject}: ${status}`);
      continue;
    }
    const counts = [...line.matchAll(/(missing|checksum invalid|size invalid|other): ([1-9]\d*)/g)];
    if (counts.length > 0) faults.push(`${subject}: ${counts.map(([count]) => count).join(', ')}`);
    else if (/^(?:ERROR|WARN):/.test(line)) faults.push(line);
  }
  return faults;
}
