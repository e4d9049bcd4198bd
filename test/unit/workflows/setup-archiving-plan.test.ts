import { describe, expect, it } from 'vitest';
import { summarySettings } from '../../../src/adapters/native/incremental/settings.ts';
import type { ServerObservation } from '../../../src/ports/postgres-server.ts';
import {
  interruptsService,
  observeSetupArchiving,
  planSetupArchiving,
  wantedSettings,
  type SetupArchivingFacts,
} from '../../../src/workflows/setup-archiving/plan.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { FAKE_ARCHIVING_SETTINGS } from '../../fakes/engine.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const INTENT = { cluster: 'main', restartAllowed: false };

/** All as it should be, but for what a test changes. */
async function facts(
  changes: {
    readonly server?: Partial<ServerObservation>;
    readonly initialised?: boolean;
    readonly current?: boolean;
    readonly backupSettings?: (postgresMajor: number) => Readonly<Record<string, string>>;
  } = {},
): Promise<SetupArchivingFacts> {
  const built = buildCluster();
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  const engine = { archivingSettings: () => FAKE_ARCHIVING_SETTINGS, backupSettings: changes.backupSettings ?? (() => ({})) };
  const observed = await observeSetupArchiving(built.cluster, engine, changes.current ?? true, ports, {
    signal: new AbortController().signal,
  });
  const settings = { ...FAKE_ARCHIVING_SETTINGS, archive_timeout: '60' };
  const nodes = observed.nodes.map((node) =>
    node.server === undefined ? node : { ...node, server: { ...node.server, settings, ...changes.server } },
  );
  const snapshots = observed.repositories.snapshots.map((snapshot) => ({ ...snapshot, initialised: changes.initialised ?? true }));
  return { ...observed, nodes, repositories: { ...observed.repositories, snapshots } };
}

/** The settings of a version that can. */
const summarySettings17 = () => summarySettings(17);

const ids = async (changes: Parameters<typeof facts>[0]) => planSetupArchiving(INTENT, await facts(changes)).steps.map((step) => step.id);

describe('the plan that sets up archiving', () => {
  it('asks nothing of PostgreSQL before 17 that it does not have', () => {
    expect(summarySettings(16)).toEqual({});
    expect(summarySettings17()).toEqual({ summarize_wal: 'on', wal_summary_keep_time: '10d' });
  });

  it('only proves that it works where nothing is to be changed', async () => {
    expect(await ids({})).toEqual(['check-archiving']);
  });

  it.each(['60', '60s', '1min'])('takes an archive_timeout of %s for the 60 seconds that are wanted', async (archive_timeout) => {
    expect(await ids({ server: { settings: { ...FAKE_ARCHIVING_SETTINGS, archive_timeout } } })).toEqual(['check-archiving']);
  });

  it.each([
    // As pg_settings has it, in minutes: the default of ten days, a year, and for ever.
    { keep: '14400', on: 'on', expected: [] },
    { keep: '525600', on: 'on', expected: [] },
    { keep: '0', on: 'on', expected: [] },
    { keep: '14399', on: 'on', expected: ['wal_summary_keep_time'] },
    { keep: '14400', on: 'off', expected: ['summarize_wal'] },
  ])(
    'has WAL summarized where backups need it, and no summary kept shorter than wanted ($keep min, $on)',
    async ({ keep, on, expected }) => {
      const settings = { ...FAKE_ARCHIVING_SETTINGS, archive_timeout: '60', summarize_wal: on, wal_summary_keep_time: keep };
      const { steps } = planSetupArchiving(INTENT, await facts({ server: { settings }, backupSettings: summarySettings17 }));
      const altered = steps.flatMap((step) => (step.kind === 'alter-system' ? Object.keys(step.settings) : []));
      expect(altered).toEqual(expected);
      expect(steps.map((step) => step.kind)).not.toContain('restart-server');
    },
  );

  it('does everything in the order in which one needs the other, on a cluster that has nothing', async () => {
    const server = { settings: { archive_mode: 'off', archive_command: '', archive_timeout: '0' } };
    expect(await ids({ server, initialised: false, current: false })).toEqual([
      'write-configuration',
      'create-repositories',
      'alter-system',
      'reload-configuration',
      'restart-server',
      'check-archiving',
    ]);
  });

  it('needs no restart for archive_command and archive_timeout', async () => {
    const server = { settings: { archive_mode: 'on', archive_command: 'cp', archive_timeout: '0' } };
    const plan = planSetupArchiving(INTENT, await facts({ server }));
    expect(interruptsService(plan)).toBe(false);
    expect(plan.steps.find((step) => step.kind === 'alter-system')).toMatchObject({
      settings: { archive_command: FAKE_ARCHIVING_SETTINGS.archive_command, archive_timeout: '60s' },
    });
  });

  it('bounds the slot of streamed WAL, unless somebody has', async () => {
    const all = await facts();
    const cluster = buildCluster().cluster;
    const engine = { archivingSettings: () => FAKE_ARCHIVING_SETTINGS, backupSettings: () => ({}) };
    const wanted = wantedSettings({ ...cluster, wal: { ...cluster.wal, streaming: true } }, engine, 15);
    const altered = (bound: string) => {
      const settings = { ...FAKE_ARCHIVING_SETTINGS, archive_timeout: '60', max_slot_wal_keep_size: bound };
      const nodes = all.nodes.map((node) => (node.server === undefined ? node : { ...node, server: { ...node.server, settings } }));
      const step = planSetupArchiving(INTENT, { ...all, nodes, wanted }).steps.find(({ kind }) => kind === 'alter-system');
      return step?.kind === 'alter-system' ? step.settings : undefined;
    };
    expect(altered('-1')).toEqual({ max_slot_wal_keep_size: '8192MB' });
    expect(altered('1024')).toBeUndefined();
  });

  it('needs the restart that an earlier run was interrupted before', async () => {
    expect(await ids({ server: { pendingRestart: ['archive_mode'] } })).toEqual(['restart-server', 'check-archiving']);
  });

  it('warns of a restart that was not agreed to, and of none that was', async () => {
    const off = await facts({ server: { settings: { ...FAKE_ARCHIVING_SETTINGS, archive_mode: 'off', archive_timeout: '60' } } });
    expect(planSetupArchiving(INTENT, off).warnings).toEqual([expect.stringContaining('archive_mode (off → on)')]);
    expect(planSetupArchiving({ ...INTENT, restartAllowed: true }, off).warnings).toEqual([]);
    expect(planSetupArchiving(INTENT, off).steps.find((step) => step.kind === 'restart-server')?.effect).toBe('destructive');
  });

  it('is refused without a primary, and where a repository cannot be read', async () => {
    const all = await facts();
    expect(() => planSetupArchiving(INTENT, { ...all, nodes: [] })).toThrow(expect.objectContaining({ code: 'POSTGRES_UNAVAILABLE' }));
    const unreadable = [{ repository: 's3' as never, kind: 's3' as const, errorCode: 'REPOSITORY_UNAVAILABLE', message: 'no route' }];
    expect(() => planSetupArchiving(INTENT, { ...all, repositories: { ...all.repositories, unreadable } })).toThrow(
      expect.objectContaining({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 }),
    );
  });
});
