import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { composeCluster, type ComposedCluster } from '../../src/composition.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { ClusterConfig } from '../../src/config/model.ts';
import { type ArchiveFacts, type ArchiveSample, rememberLook } from '../../src/domain/health/archive-facts.ts';
import { type ArchiveAssessment, assessArchive } from '../../src/domain/health/assess-archive.ts';
import type { ArchiveState } from '../../src/domain/health/archive-state.ts';
import { observeArchive } from '../../src/workflows/watch/observe.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';
import { runProgram } from '../harness/cli.ts';

/** WAL that waits for longer is late: an objective that a test can wait for. */
const RPO_SECONDS = 3;
/** Three segments are more. */
const QUEUE_LIMIT = '40MiB';

interface Look {
  readonly facts: ArchiveFacts;
  readonly assessment: ArchiveAssessment;
}

describe('WAL on its way into the repositories', () => {
  const lab = useLab({ nodes: 2 });
  let samples: readonly ArchiveSample[] = [];
  let cluster: ClusterConfig;
  let composed: ComposedCluster;
  const signal = new AbortController().signal;

  beforeAll(async () => {
    await configure((document) => document.setIn(['clusters', 'lab', 'objectives'], { rpoSeconds: RPO_SECONDS }));
    await lab().backup('full');
  });

  async function configure(change: (document: ReturnType<typeof parseDocument>) => void): Promise<void> {
    const { config } = lab().description;
    const document = parseDocument(await readFile(config, 'utf8'));
    change(document);
    await writeFile(config, document.toString());
    await compose();
  }

  async function compose(): Promise<void> {
    const configuration = await loadConfiguration({ path: lab().description.config, environment: {}, flags: {} });
    cluster = configuration.clusters.get('lab')!;
    composed = await composeCluster(configuration, cluster, signal, { askForPrimary: true });
  }

  async function look(timeoutMs = 25_000): Promise<Look> {
    const { ports } = composed;
    const { archive_command: expectedArchiveCommand } = ports.engine.archivingSettings();
    const facts = await observeArchive(cluster, { expectedArchiveCommand, samples }, ports, { signal, timeoutMs });
    samples = rememberLook(facts);
    return { facts, assessment: assessArchive(facts) };
  }

  function statesOf({ assessment }: Look): Readonly<Record<string, ArchiveState>> {
    return Object.fromEntries(assessment.repositories.map(({ repository, archive }) => [repository, archive]));
  }

  const codesOf = ({ assessment }: Look) =>
    assessment.findings.map(({ code }) => code).filter((code) => code !== 'archive-timeout-too-long');

  async function untilHealthy(): Promise<Look> {
    let last = await look();
    await until('every repository is healthy', async () => {
      last = await look();
      return Object.values(statesOf(last)).every(({ state }) => state === 'healthy') && last.facts.primary?.queue?.count === 0;
    });
    return last;
  }

  let node: { socketDirectory: string; port: number };
  beforeAll(() => {
    node = lab().primary;
  });

  /** Closes a segment; gives its name. */
  async function close(): Promise<string> {
    await querySocket(node, 'SELECT pg_current_xact_id()');
    const [row] = await querySocket<{ segment: string }>(node, 'SELECT pg_walfile_name(pg_switch_wal()) AS segment');
    return row?.segment ?? '';
  }

  /** Where the local repository keeps the segments around this one. */
  async function folderOf(segment: string): Promise<string> {
    const archives = join(lab().directory, 'repository/archive/lab');
    const generation = (await readdir(archives, { withFileTypes: true })).find((entry) => entry.isDirectory())?.name ?? '';
    return join(archives, generation, segment.slice(0, 16));
  }

  async function stored(segment: string): Promise<string | undefined> {
    const folder = await folderOf(segment);
    const name = (await readdir(folder)).find((one) => one.startsWith(`${segment}-`));
    return name === undefined ? undefined : join(folder, name);
  }

  test('is healthy while it arrives, and an idle server does not lag', async () => {
    await close();
    const found = await untilHealthy();
    expect(codesOf(found)).toEqual([]);
    expect(found.facts.primary).toMatchObject({ node: 'primary-1', timeline: 1, queue: { count: 0 } });
    expect(found.facts.primary?.walFreeBytes).toBeGreaterThan(0n);
  });

  test('is a gap where a segment was removed, until there is a backup', async () => {
    const segment = await close();
    await until('the segment is stored', async () => (await stored(segment)) !== undefined);
    await close();
    await untilHealthy();
    await rm((await stored(segment)) ?? '');
    const found = await look();
    expect(statesOf(found)).toMatchObject({
      local: { state: 'gap', firstMissing: segment, lastMissing: segment },
      s3: { state: 'healthy' },
    });
    expect(found.assessment.backupsDue).toMatchObject([{ repository: 'local', reason: expect.stringContaining(segment) }]);

    const { exitCode, stdout } = await runProgram(join(import.meta.dirname, '../../bin/spoke-backup'), ['status'], {
      config: lab().description.config,
    });
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^local .* gap /m);
    expect(stdout).toContain('next: spoke-backup backup --type incr --repo local');

    await lab().backup('incr', '--repo', 'local');
    expect(codesOf(await untilHealthy())).toEqual([]);
  });

  test('fails for the repository that may not be written, and is dropped by a queue limit unseen by pg_stat_archiver', async () => {
    await configure((document) =>
      document.setIn(['clusters', 'lab', 'pgbackrest', 'extraOptions'], { 'archive-push-queue-max': QUEUE_LIMIT }),
    );
    await composed.ports.engine.writeConfiguration();
    const folder = await folderOf(await close());
    await untilHealthy();
    await chmod(folder, 0o500);
    try {
      const first = await close();
      let failing = await look();
      // pgBackRest takes its note away while it tries again.
      await until('the local repository fails, and it is known why', async () => {
        failing = await look();
        const local = statesOf(failing)['local'];
        return local?.state === 'failing' && local.lastError.includes('Permission denied');
      });
      expect(statesOf(failing)['s3']).toEqual({ state: 'healthy' });
      expect(failing.facts.primary?.queue?.waiting.map(({ file }) => file)).toContain(first);
      expect(codesOf(failing)).toContain('archive-failing');

      await until('the limit has dropped what waited', async () => {
        await close();
        return (await look()).assessment.repositories.some(({ archive }) => archive.state === 'gap');
      });
      const dropped = await look();
      expect(statesOf(dropped)['local']).toMatchObject({ state: 'gap', firstMissing: first });
      expect(dropped.facts.primary?.archiver.lastArchivedWal?.localeCompare(first)).toBeGreaterThanOrEqual(0);
    } finally {
      await chmod(folder, 0o750);
    }
    await configure((document) => document.deleteIn(['clusters', 'lab', 'pgbackrest', 'extraOptions']));
    await lab().backup('incr');
    expect(codesOf(await untilHealthy())).toEqual([]);
  });

  test('is followed across a promotion', async () => {
    await lab().stop(lab().primary.dataDirectory);
    node = lab().node('replica-1');
    await querySocket(node, 'SELECT pg_promote()');
    await compose();
    await close();
    const found = await untilHealthy();
    expect(found.facts.primary).toMatchObject({ node: 'replica-1', timeline: 2 });
    expect(codesOf(found)).toEqual([]);
    const { primary } = found.facts;
    expect(found.facts.histories.map(({ timeline }) => timeline)).toEqual([primary?.timeline]);
  });

  test('fails for an object store that is down, while the local repository stays healthy', async () => {
    // Before it gives up an attempt, pgBackRest waits for eight times as long, and the other repository with it.
    await configure((document) => document.setIn(['clusters', 'lab', 'pgbackrest', 'extraOptions'], { 'io-timeout': '1' }));
    await composed.ports.engine.writeConfiguration();
    const processes = join(lab().directory, 'processes');
    for (const name of (await readdir(processes)).filter((one) => one.startsWith('s3-'))) {
      const { pid } = JSON.parse(await readFile(join(processes, name), 'utf8')) as { pid: number };
      process.kill(pid, 'SIGKILL');
    }
    await close();
    let found = await look(RPO_SECONDS * 1000);
    await until('the object store is told to fail', async () => {
      found = await look(RPO_SECONDS * 1000);
      return statesOf(found)['s3']?.state === 'failing';
    });
    expect(statesOf(found)).toMatchObject({ local: { state: 'healthy' }, s3: { state: 'failing' } });
    expect(found.assessment.backupsDue).toEqual([]);
    expect(codesOf(found)).toEqual(['archive-failing']);
  });
});
