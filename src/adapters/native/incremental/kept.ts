import { createReadStream } from 'node:fs';
import { copyFile, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { rootOfLabel } from '../../../domain/native/label.ts';
import { formatTimelineHistory, parseTimelineHistory, type TimelineHistory } from '../../../domain/postgres/timeline-history.ts';
import type { TimelineId } from '../../../domain/postgres/timeline.ts';
import { translating } from '../file-error.ts';
import { makeOwnDirectory } from '../lock.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeSettings } from '../settings.ts';
import { replaceFile } from '../../common/replace-file.ts';

/** Newest backups of each kind whose manifests are kept: repositories that get their own backups may be at different ones. */
const KEPT_OF_EACH_KIND = 3;

/** Where only others hold the private key, this host cannot read back what the next backup has to be compared with. */
export function keepsForItself({ encryption }: Pick<NativeSettings, 'encryption'>): boolean {
  return encryption !== undefined && encryption.identityFile === undefined;
}

/**
 * Keeps a backup's manifest, and the history of its timeline, for the backup that will be relative to it: below the settings' directory, for
 * the owner alone. They hold names and checksums of files, and no data. Throws DISK_FULL, FILE_SYSTEM_FAILED.
 */
export async function keepForItself(
  parts: NativeParts,
  { label }: BackupRecord,
  manifestFile: string,
  history: TimelineHistory | undefined,
): Promise<void> {
  const { settings } = parts;
  const directory = directoryOf(settings);
  await makeOwnDirectory(parts, directory);
  await translating(`keep the manifest of ${label}`, async () => {
    if (history !== undefined) await replaceFile(historyFileOf(settings, label), formatTimelineHistory(history), settings.user, 0o600);
    const temporary = `${manifestFileOf(settings, label)}.tmp`;
    // The manifest of pg_basebackup is its owner's alone, and so is a copy of it.
    await copyFile(manifestFile, temporary);
    await rename(temporary, manifestFileOf(settings, label));
    await removeOlder(directory);
  });
}

/** Undefined where it was not kept. */
export async function openKeptManifest(settings: NativeSettings, label: BackupLabel): Promise<AsyncIterable<Uint8Array> | undefined> {
  const names = await readdir(directoryOf(settings)).catch((): string[] => []);
  return names.includes(`${label}.manifest`) ? createReadStream(manifestFileOf(settings, label)) : undefined;
}

/** Undefined where none was kept. Throws RangeError where it is none. */
export async function readKeptHistory(
  settings: NativeSettings,
  label: BackupLabel,
  timeline: TimelineId,
): Promise<TimelineHistory | undefined> {
  const text = await readFile(historyFileOf(settings, label), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseTimelineHistory(text, timeline);
}

async function removeOlder(directory: string): Promise<void> {
  const labels = [...new Set((await readdir(directory)).map((name) => name.slice(0, name.indexOf('.'))))].sort();
  const isFull = (label: string) => rootOfLabel(label as BackupLabel) === label;
  const kept = new Set([labels.filter(isFull), labels.filter((label) => !isFull(label))].flatMap((kind) => kind.slice(-KEPT_OF_EACH_KIND)));
  for (const label of labels.filter((one) => !kept.has(one)))
    for (const end of ['manifest', 'manifest.tmp', 'history']) await rm(join(directory, `${label}.${end}`), { force: true });
}

function directoryOf({ directory }: NativeSettings): string {
  return join(directory, 'manifests');
}

function manifestFileOf(settings: NativeSettings, label: BackupLabel): string {
  return join(directoryOf(settings), `${label}.manifest`);
}

function historyFileOf(settings: NativeSettings, label: BackupLabel): string {
  return join(directoryOf(settings), `${label}.history`);
}
