import { describe, expect, it } from 'vitest';
import type { ClusterConfig } from '../../../src/config/model.ts';
import { mergeStandbyRecipes } from '../../../src/adapters/engines/archiving-settings.ts';
import { missingIn, patroniSetup } from '../../../src/workflows/patroni/setup.ts';
import { buildCluster } from '../../fakes/cluster.ts';

const { cluster } = buildCluster();
const nodes = [
  { ...cluster.nodes[0]!, name: 'a', dataDirectory: '/var/lib/a b' },
  { ...cluster.nodes[0]!, name: 'c', dataDirectory: '/var/lib/c' },
];
const CLUSTER: ClusterConfig = { ...cluster, nodes };
const ENGINE = {
  archivingSettings: () => ({ archive_mode: 'on', archive_command: 'push %p' }),
  backupSettings: () => ({ summarize_wal: 'on' }),
  standbyRecipe: (dataDirectory: string) => ({ restoreCommand: 'get %f "%p"', restoreBackup: ['tool', `--path=${dataDirectory}`, "it's"] }),
};

describe('what Patroni has to be told', () => {
  it('has archiving and recovery for all, and for each member how it is made of a backup of its own path', () => {
    const { dynamic, members, missing } = patroniSetup(CLUSTER, ENGINE, 17, undefined);
    expect(dynamic).toEqual({
      postgresql: {
        parameters: { archive_mode: 'on', archive_command: 'push %p', archive_timeout: '60s', summarize_wal: 'on' },
        recovery_conf: { restore_command: 'get %f "%p"', recovery_target_timeline: 'latest' },
      },
    });
    expect(missing).toBeUndefined();
    expect(members.get('a')).toEqual({
      postgresql: {
        create_replica_methods: ['pgbackrest', 'basebackup'],
        pgbackrest: { command: `tool '--path=/var/lib/a b' 'it'\\''s'`, keep_data: true, no_params: true },
        basebackup: { checkpoint: 'fast' },
      },
    });
  });

  it('has pg_basebackup where no engine restores by itself, and says so', () => {
    const { members, notes } = patroniSetup(CLUSTER, { ...ENGINE, standbyRecipe: () => ({ restoreCommand: 'get' }) }, 17, undefined);
    expect(members.get('c')).toEqual({ postgresql: { create_replica_methods: ['basebackup'], basebackup: { checkpoint: 'fast' } } });
    expect(notes.join()).toContain('pg_basebackup');
  });

  it('is compared with what it has, in which YAML has turned words into truth', () => {
    const wanted = { postgresql: { parameters: { archive_mode: 'on', max: 5, command: 'x' } } };
    expect(missingIn({ postgresql: { parameters: { archive_mode: true, max: '5', command: 'y' } } }, wanted)).toEqual([
      'postgresql.parameters.command',
    ]);
    expect(missingIn({ postgresql: null }, wanted)).toHaveLength(3);
    expect(missingIn(wanted, wanted)).toEqual([]);
  });

  it('asks engines one after the other for WAL, and has the backup of the first that restores one', () => {
    const [one, other] = [{ restoreCommand: 'one' }, { restoreCommand: 'other', restoreBackup: ['restore'] }];
    expect(mergeStandbyRecipes([one, other])).toEqual({ restoreCommand: 'one || other', restoreBackup: ['restore'] });
    expect(mergeStandbyRecipes([one])).toEqual(one);
  });
});
