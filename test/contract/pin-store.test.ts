import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPinStore } from '../../src/adapters/state/pin-store.ts';
import type { BackupLabel, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import type { Pin } from '../../src/domain/retention/pin.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';
import { SpokeError } from '../../src/errors.ts';
import type { PinReader, PinWriter } from '../../src/ports/pin-store.ts';
import { buildCluster } from '../fakes/cluster.ts';
import { FakeProcess } from '../fakes/process.ts';
import { fakePinReader, fakePinWriter } from '../fakes/state.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  directories.push(directory);
  return directory;
}

function inMemory(): PinReader & PinWriter {
  const process = new FakeProcess(buildCluster().world);
  return { ...fakePinReader(process), ...fakePinWriter(process) };
}

const pin = (label: string, more: Partial<Pin> = {}): Pin => ({
  ...{ repository: 'local' as RepositoryName, label: label as BackupLabel, until: 'forever', reason: 'audit' },
  ...more,
});

describe.each([
  ['in the state directory', () => createPinStore(stateDirectory())],
  ['in memory', inMemory],
])('the pins %s', (_where, create) => {
  it('are none at first, and then those that were saved, of that cluster alone', async () => {
    const store = create();
    expect(await store.list('main')).toEqual([]);
    const until = instantOfMicros(1_800_000_000_123_456n);
    await store.save('main', pin('A', { until, reason: `it's "why"` }));
    await store.save('other', pin('B'));
    expect(await store.list('main')).toEqual([pin('A', { until, reason: `it's "why"` })]);
  });

  it('are one a backup and repository: the last that was saved', async () => {
    const store = create();
    await store.save('main', pin('A'));
    await store.save('main', pin('A', { repository: 's3' as RepositoryName }));
    await store.save('main', pin('A', { reason: 'another' }));
    expect(await store.list('main')).toEqual([pin('A', { repository: 's3' as RepositoryName }), pin('A', { reason: 'another' })]);
  });

  it('are gone when they were removed, also twice', async () => {
    const store = create();
    await store.save('main', pin('A'));
    await store.save('main', pin('B'));
    for (let time = 0; time < 2; time += 1) await store.remove('main', pin('A').repository, pin('A').label);
    expect(await store.list('main')).toEqual([pin('B')]);
  });
});

describe('the file of the pins', () => {
  it('can be read by its owner alone, and nothing lies beside it', async () => {
    const directory = stateDirectory();
    await createPinStore(directory).save('main', pin('A'));
    expect(readdirSync(join(directory, 'pins'))).toEqual(['main.json']);
    expect(statSync(join(directory, 'pins/main.json')).mode & 0o777).toBe(0o600);
  });

  it.each(['', '{', '[]', '{"schema":2,"pins":[]}', '{"schema":1,"pins":[{"label":"A"}]}', '{"schema":1}'])(
    'that holds %j is no empty list: nothing may expire, and it is not written over',
    async (content) => {
      const directory = stateDirectory();
      const path = join(directory, 'pins/main.json');
      mkdirSync(join(directory, 'pins'));
      writeFileSync(path, content);
      const store = createPinStore(directory);
      for (const attempt of [() => store.list('main'), () => store.save('main', pin('A'))]) {
        const error: unknown = await attempt().catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(SpokeError);
        expect(error).toMatchObject({ code: 'REFUSED_PRECONDITION', message: expect.stringContaining(path) });
      }
      expect(readFileSync(path, 'utf8')).toBe(content);
    },
  );
});
