import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type { ScheduleStore } from '../../ports/schedule-store.ts';
import { makeDirectory, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';

/** `<stateDirectory>/schedules/<cluster>.json`: for each schedule the microseconds since the epoch at which it was first seen. */
export function createScheduleStore(stateDirectory: string, cluster: string): ScheduleStore {
  const directory = join(stateDirectory, 'schedules');
  const path = join(directory, `${cluster}.json`);
  return {
    load: () => translating(`read ${path}`, async () => instantsOf(await textOf(path))),
    save: (firstSeen) =>
      translating(`write ${path}`, async () => {
        await makeDirectory(directory);
        const text = JSON.stringify(Object.fromEntries(Object.entries(firstSeen).map(([name, at]) => [name, String(at)])));
        await rename(await writeTemporary(directory, text), path);
        await syncDirectory(directory);
      }),
  };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return '{}';
    throw thrown;
  }
}

function instantsOf(text: string) {
  const known = Object.entries(parsed(text)).filter((entry): entry is [string, string] => /^\d{1,18}$/.test(String(entry[1])));
  return Object.fromEntries(known.map(([name, micros]) => [name, instantOfMicros(BigInt(micros))]));
}

/** Damaged by whatever: as if nothing had been kept. */
function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}
