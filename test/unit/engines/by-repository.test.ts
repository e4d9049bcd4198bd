import { describe, expect, it } from 'vitest';
import { mergeArchivingSettings } from '../../../src/adapters/engines/archiving-settings.ts';
import { engineByRepository, type EngineOfRepositories } from '../../../src/adapters/engines/by-repository.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';

const context = { signal: new AbortController().signal };

/** An engine that says who it is. */
function engineNamed(name: string, isCurrent = true): EngineOfRepositories {
  const reader = {
    readVersion: () => Promise.resolve({ name, version: '1' }),
    isConfigurationCurrent: () => Promise.resolve(isCurrent),
    readPushErrors: () => Promise.resolve([{ message: name }]),
  };
  const engine = {
    archivingSettings: () => ({ archive_mode: 'on', archive_command: `${name} %p` }),
    backupSettings: (postgresMajor: number) => ({ [`${name}_setting`]: String(postgresMajor) }),
    previewVerify: () => [{ argv: [name] }],
  };
  return { repositories: [`at-${name}` as RepositoryName], reader, engine } as unknown as EngineOfRepositories;
}

describe('several engines as one', () => {
  it('are that engine where there is one', () => {
    const only = engineNamed('one');
    expect(engineByRepository([only])).toBe(only);
  });

  it('answer for a repository by the engine that keeps it', async () => {
    const { reader, engine } = engineByRepository([engineNamed('one'), engineNamed('two')]);
    expect(await reader.readVersion('at-two' as RepositoryName, context)).toMatchObject({ name: 'two' });
    expect(engine.previewVerify('at-one' as RepositoryName)).toEqual([{ argv: ['one'] }]);
    expect(() => engine.previewVerify('elsewhere' as RepositoryName)).toThrow('there is no repository "elsewhere"');
  });

  it('have their configuration on disk only where each has', async () => {
    const { reader } = engineByRepository([engineNamed('one'), engineNamed('two', false)]);
    expect(await reader.isConfigurationCurrent()).toBe(false);
    expect(await reader.readPushErrors()).toEqual([{ message: 'one' }, { message: 'two' }]);
  });

  it('push WAL one after the other, and nothing is archived before the last has it', () => {
    const { engine } = engineByRepository([engineNamed('one'), engineNamed('two')]);
    expect(engine.archivingSettings()).toEqual({ archive_mode: 'on', archive_command: 'one %p && two %p' });
    expect(engine.backupSettings(17)).toEqual({ one_setting: '17', two_setting: '17' });
  });

  it('do not quietly overrule each other', () => {
    expect(() => mergeArchivingSettings([{ wal_level: 'replica' }, { wal_level: 'logical' }])).toThrow('one engine wants wal_level');
  });
});
