import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { type Pin, untilOfText, untilToText } from '../../domain/retention/pin.ts';
import { SpokeError } from '../../errors.ts';
import type { PinReader, PinWriter } from '../../ports/pin-store.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';

/** Of the file, for readers of other versions. */
const SCHEMA = 1;

/** A pin as the file has it. */
interface StoredPin {
  readonly repository: string;
  readonly label: string;
  readonly until: string;
  readonly reason: string;
}

/**
 * The pins of each cluster as one file, `<stateDirectory>/pins/<cluster>.json`, replaced whole. One change at a time: whoever
 * changes it holds the lock of the cluster's pins.
 */
export function createPinStore(stateDirectory: string): PinReader & PinWriter {
  const directory = join(stateDirectory, 'pins');
  const pathOf = (cluster: string) => join(directory, `${cluster}.json`);
  const change = (cluster: string, changed: (pins: readonly Pin[]) => readonly Pin[]) =>
    translating(`write the pins of ${cluster}`, async () => {
      await replace(directory, pathOf(cluster), changed(await readPins(pathOf(cluster))));
    });
  return {
    list: (cluster) => translating(`read the pins of ${cluster}`, () => readPins(pathOf(cluster))),
    save: (cluster, pin) => change(cluster, (pins) => [...without(pins, pin.repository, pin.label), pin]),
    remove: (cluster, repository, label) => change(cluster, (pins) => without(pins, repository, label)),
  };
}

function without(pins: readonly Pin[], repository: RepositoryName, label: BackupLabel): readonly Pin[] {
  return pins.filter((pin) => pin.repository !== repository || pin.label !== label);
}

async function readPins(path: string): Promise<readonly Pin[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
  const stored = storedPins(text);
  if (stored !== undefined) return stored.map(pinOf);
  throw new SpokeError('REFUSED_PRECONDITION', `The pins in ${path} cannot be read, and what they hold must not expire.`, {
    details: { path },
    hint: `Repair the file, or remove it: pins are annotations of their backups, too. Then: spoke-backup pins`,
  });
}

function pinOf({ repository, label, until, reason }: StoredPin): Pin {
  return { repository: repository as RepositoryName, label: label as BackupLabel, until: untilOfText(until), reason };
}

/** Undefined where the text is not all that we wrote. */
function storedPins(text: string): readonly StoredPin[] | undefined {
  try {
    const { schema, pins } = JSON.parse(text) as { readonly schema?: unknown; readonly pins?: unknown };
    return schema === SCHEMA && Array.isArray(pins) && pins.every(isStoredPin) ? pins : undefined;
  } catch {
    return undefined;
  }
}

function isStoredPin(value: unknown): value is StoredPin {
  if (typeof value !== 'object' || value === null) return false;
  return ['repository', 'label', 'until', 'reason'].every((name) => typeof Reflect.get(value, name) === 'string');
}

async function replace(directory: string, path: string, pins: readonly Pin[]): Promise<void> {
  await makeDirectory(directory);
  const stored = pins.map((pin): StoredPin => ({ ...pin, until: untilToText(pin.until) }));
  const temporary = await writeTemporary(directory, `${JSON.stringify({ schema: SCHEMA, pins: stored }, undefined, 2)}\n`);
  try {
    await rename(temporary, path);
  } catch (thrown) {
    await removeIfThere(temporary);
    throw thrown;
  }
  await syncDirectory(directory);
}
