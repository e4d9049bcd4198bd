import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { PROGRAM, spoke, spokeError, spokeJson } from '../harness/cli.ts';
import { querySocket, useLab } from '../harness/lab.ts';
import { TestSshd, writeProgram } from '../harness/sshd.ts';
import { configurationWith } from './support/config.ts';
import { identityOf, restoreAreasBeside, Rows, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch, journalOf } from './support/journal.ts';
import { strangers } from './support/processes.ts';
import { errorOf, RunningTool } from './support/tool.ts';

/** A pgBackRest that reads repositories and does nothing else: whatever works is done on the other host. */
const READER = `#!/bin/sh
case " $* " in
  *" backup "* | *" restore "* | *" check "* | *" stanza-create "* | *" archive-push "*) echo 'not on this host' >&2; exit 1 ;;
esac
exec pgbackrest "$@"
`;

describe('a node on another host', () => {
  const lab = useLab({ s3: false });
  let sshd: TestSshd;
  let config: string;
  let stateDirectory: string;
  let rows: Rows;

  beforeAll(async () => {
    sshd = await TestSshd.start(join(tmpdir(), 'sshd'));
    stateDirectory = join(lab().directory, 'here');
    mkdirSync(stateDirectory, { mode: 0o711 });
    const reader = writeProgram(join(lab().directory, 'only-reads'), READER);
    config = await configurationWith(lab(), 'here', (document) => {
      document.set('stateDirectory', stateDirectory);
      const cluster = ['clusters', 'lab'];
      document.setIn([...cluster, 'pgbackrest'], { command: reader });
      const command = ['env', `SPOKE_BACKUP_CONFIG=${lab().description.config}`, PROGRAM];
      document.setIn([...cluster, 'nodes', 0, 'ssh'], { ...sshd.ssh, command });
    });
    rows = await Rows.begin(lab());
  });
  afterAll(() => sshd.stop());

  /** But for the server and the sshd itself. */
  async function expectNothingRuns(): Promise<void> {
    const others = () => strangers(lab()).filter((line) => !line.startsWith(`${sshd.pid} `));
    await expect.poll(others, { timeout: 30_000, interval: 100 }).toEqual([]);
  }

  const here = <T>(...argv: string[]) => spokeJson<T>(argv, { config });

  test('is reached, and found to be of this cluster', async () => {
    const { document } = await spoke(['config', 'check', '--online'], { config });
    const checked = document as { ok: boolean; notes: readonly { message: string }[] };
    expect(checked.ok).toBe(true);
    expect(checked.notes.map(({ message }) => message).join()).toContain(`127.0.0.1:${sshd.port} is reached: spoke-backup`);
  });

  test('is set up for archiving, with a restart, by the programs and files of its host', async () => {
    for (const setting of ['archive_mode', 'archive_command']) await querySocket(lab().primary, `ALTER SYSTEM RESET ${setting}`);
    await lab().stop(lab().primary.dataDirectory);
    await lab().start(lab().primary.dataDirectory, lab().primary);
    const { plan } = await here<{ plan: { steps: readonly { id: string; commands: readonly string[][] }[] } }>(
      'setup',
      'archiving',
      '--dry-run',
    );
    expect(plan.steps.find(({ id }) => id === 'check-archiving')?.commands[0]?.slice(0, 2)).toEqual(['(on primary-1)', 'pgbackrest']);
    await here('setup', 'archiving', '--confirm', 'lab');
    const [row] = await querySocket<{ archive_command: string }>(lab().primary, 'SHOW archive_command');
    expect(row?.archive_command).toContain(lab().description.stateDirectory);
    expect(row?.archive_command).not.toContain(stateDirectory);
    expect(sshd.running('main.cjs agent ')).toEqual([]);
  });

  test('is backed up by pgBackRest on its host', async () => {
    const { backups } = await here<{ backups: readonly { repository: string }[] }>('backup', '--type', 'full');
    expect(backups).toMatchObject([{ repository: 'local', type: 'full' }]);
    await untilBackupsArePast(lab());
    await expectNothingRuns();
  });

  /** A restore that throws a row away. */
  async function accident() {
    await rows.commit();
    const kept = await rows.now();
    const target = await serverTime(lab().primary);
    await rows.commit();
    return { argv: ['restore', '--to', target, '--in-place', '--confirm', 'lab'], kept };
  }

  async function expectRestored(result: RestoreResult, kept: readonly number[]): Promise<void> {
    expect(result).toMatchObject({ dataDirectory: lab().primary.dataDirectory, started: true });
    expect(await rows.now()).toEqual(kept);
    expect(restoreAreasBeside(lab().primary.dataDirectory)).toEqual([]);
    await expectNothingRuns();
  }

  test('is restored in place', async () => {
    const { argv, kept } = await accident();
    const before = identityOf(lab().primary.dataDirectory);
    const result = await here<RestoreResult>(...argv);
    await expectRestored(result, kept);
    expect(identityOf(result.oldDataDirectory ?? '')).toBe(before);
  });

  async function cutIn(step: string, argv: readonly string[]) {
    const watch = new JournalWatch(stateDirectory);
    const tool = new RunningTool([...argv, '--json'], { config });
    const run = await watch.stepBegun(step, tool);
    sshd.cut();
    return { run, ended: await tool.ended };
  }

  test('whose connection breaks while a backup is copied is asked again, once nothing works there any more', async () => {
    const { argv, kept } = await accident();
    const { run, ended } = await cutIn('copy-backup', argv);
    expect(ended.exitCode, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/the connection to .* broke.*; trying again/);
    await expectRestored(JSON.parse(ended.stdout) as RestoreResult, kept);
    expect(journalOf(stateDirectory, run).filter(({ kind }) => kind === 'step-failed')).toEqual([]);
  });

  test('whose connection breaks while it replays fails, leaves nothing running, and is resumed', async () => {
    const { argv, kept } = await accident();
    const { run, ended } = await cutIn('prove-target', argv);
    const error = errorOf(ended);
    expect(error).toMatchObject({ code: 'HOST_UNREACHABLE', exitCode: 22, details: { run } });
    expect(error.hint).toContain(`spoke-backup runs resume ${run}`);
    await expect.poll(() => sshd.running('main.cjs agent '), { timeout: 30_000, interval: 100 }).toEqual([]);
    await expectNothingRuns();
    await expectRestored(await here<RestoreResult>('runs', 'resume'), kept);
  });

  test('whose connection breaks for good is given up with all that lay beside', async () => {
    const { argv } = await accident();
    const all = await rows.now();
    const { run } = await cutIn('prove-target', argv);
    await here('runs', 'cancel', run);
    expect(restoreAreasBeside(lab().primary.dataDirectory)).toEqual([]);
    expect(await rows.now()).toEqual(all);
    await expectNothingRuns();
  });

  test.each([
    ['told to end', 'SIGTERM', 143],
    ['killed', 'SIGKILL', null],
  ] as const)('is let go by a program that is %s in the middle', async (_how, signal, exitCode) => {
    const { argv, kept } = await accident();
    const watch = new JournalWatch(stateDirectory);
    const tool = new RunningTool(argv, { config });
    const run = await watch.stepBegun('copy-backup', tool);
    tool.kill(signal);
    expect((await tool.ended).exitCode).toBe(exitCode);
    await expect.poll(() => sshd.running('main.cjs agent '), { timeout: 30_000, interval: 100 }).toEqual([]);
    await expectNothingRuns();
    await expectRestored(await here<RestoreResult>('runs', 'resume', run), kept);
  });

  test('says what is wrong where its host is not the one that was meant', async () => {
    const elsewhere = await configurationWith(lab(), 'elsewhere', (document) => {
      document.set('stateDirectory', stateDirectory);
      document.setIn(['clusters', 'lab', 'nodes', 0, 'ssh'], { ...sshd.ssh, knownHostsFile: sshd.file('unknown') });
    });
    const checked = JSON.parse((await new RunningTool(['config', 'check', '--online', '--json'], { config: elsewhere }).ended).stdout) as {
      findings: readonly object[];
    };
    expect(checked).toMatchObject({ ok: false });
    expect(checked.findings[0]).toMatchObject({ severity: 'error', path: 'clusters.lab.nodes[0].ssh' });
    const { nodes } = await spokeJson<{ nodes: readonly { hostFault?: string }[] }>(['status'], { config: elsewhere });
    expect(nodes[0]?.hostFault).toContain('shows a key that is not among the known hosts');
    const error = await spokeError(['restore', '--to', 'latest', '--in-place', 'primary-1', '--confirm', 'lab'], { config: elsewhere });
    expect(error).toMatchObject({ code: 'HOST_KEY_UNKNOWN', exitCode: 22 });
  });
});

describe('a node on another host, with the native engine', () => {
  const lab = useLab({ s3: false, engine: 'native' });
  let sshd: TestSshd;
  let config: string;

  beforeAll(async () => {
    sshd = await TestSshd.start(join(tmpdir(), 'sshd'));
    const stateDirectory = join(lab().directory, 'here');
    mkdirSync(stateDirectory, { mode: 0o711 });
    config = await configurationWith(lab(), 'here', (document) => {
      document.set('stateDirectory', stateDirectory);
      const command = ['env', `SPOKE_BACKUP_CONFIG=${lab().description.config}`, PROGRAM];
      document.setIn(['clusters', 'lab', 'nodes', 0, 'ssh'], { ...sshd.ssh, command });
    });
  });
  afterAll(() => sshd.stop());

  test('is set up, backed up from here, and restored in place there', async () => {
    const here = <T>(...argv: string[]) => spokeJson<T>(argv, { config });
    const rows = await Rows.begin(lab());
    await here('setup', 'archiving', '--confirm', 'lab');
    const { backups } = await here<{ backups: readonly object[] }>('backup', '--type', 'full');
    expect(backups).toMatchObject([{ repository: 'local', type: 'full' }]);
    await untilBackupsArePast(lab());
    await rows.commit();
    const kept = await rows.now();
    const target = await serverTime(lab().primary);
    await rows.commit();
    const result = await here<RestoreResult>('restore', '--to', target, '--in-place', '--confirm', 'lab');
    expect(result).toMatchObject({ dataDirectory: lab().primary.dataDirectory, started: true });
    expect(await rows.now()).toEqual(kept);
    expect(sshd.running('main.cjs agent ')).toEqual([]);
  });
});
