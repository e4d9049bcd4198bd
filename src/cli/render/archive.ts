import { describeState } from '../../domain/health/archive-findings.ts';
import type { ArchiveState } from '../../domain/health/archive-state.ts';
import type { HealthFinding } from '../../domain/health/finding.ts';
import { formatInstantIso, type Instant } from '../../domain/time/instant.ts';

/** A cell of a table: `healthy`, `lagging 4m05s, 320 MiB`. The names of segments that are missing stand elsewhere. */
export function archiveCell(archive: ArchiveState): string {
  return archive.state === 'gap' ? 'gap' : describeState(archive);
}

/** A finding as lines: what is the matter, why, and what to type. */
export function findingLines({ severity, message, cause, nextCommand }: HealthFinding): readonly string[] {
  return [`${severity === 'critical' ? 'CRITICAL' : 'warning'}: ${message}`, `  ${cause}`, `  next: ${nextCommand}`];
}

export function archiveToJson(archive: ArchiveState) {
  const iso = (instant: Instant | undefined) => (instant === undefined ? null : formatInstantIso(instant));
  switch (archive.state) {
    case 'healthy':
      return { state: archive.state };
    case 'lagging':
      return { state: archive.state, seconds: archive.seconds ?? null, bytes: Number(archive.bytes), segments: archive.segments };
    case 'failing':
      return { state: archive.state, since: iso(archive.since), bytes: Number(archive.bytes ?? 0n), lastError: archive.lastError };
    case 'gap': {
      const { state, firstMissing, lastMissing, segments, blockedBy } = archive;
      return { state, firstMissing, lastMissing, segments, recoverableUntil: iso(archive.recoverableUntil), blockedBy: blockedBy ?? null };
    }
    case 'unknown':
      return { state: archive.state, reason: archive.reason };
  }
}

export function findingToJson({ code, severity, repository, node, message, evidence, cause, nextCommand }: HealthFinding) {
  return { code, severity, repository: repository ?? null, node: node ?? null, message, evidence, cause, nextCommand };
}
