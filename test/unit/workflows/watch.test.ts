import { describe, expect, it } from 'vitest';
import { hasFindings, renderStatus, statusToJson } from '../../../src/cli/render/status.ts';
import { assessArchive } from '../../../src/domain/health/assess-archive.ts';
import { observeStatus } from '../../../src/workflows/status/status.ts';
import { observeArchive } from '../../../src/workflows/watch/observe.ts';
import { buildCluster, commits, type FakeCluster, type FakeClusterSpec } from '../../fakes/cluster.ts';
import { FAKE_ARCHIVING_SETTINGS } from '../../fakes/engine.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const EVENTS = [
  ...commits(3),
  { kind: 'backup', repository: 0, type: 'full' },
  { kind: 'backup', repository: 1, type: 'full' },
  ...commits(12),
] as const;
const context = { signal: new AbortController().signal };
const expectedArchiveCommand = FAKE_ARCHIVING_SETTINGS.archive_command;

function build(changes: Partial<FakeClusterSpec> = {}): FakeCluster {
  return buildCluster({ repositories: 2, events: EVENTS, ...changes });
}

async function look({ world, cluster }: FakeCluster) {
  const facts = await observeArchive(
    cluster,
    { expectedArchiveCommand, samples: [] },
    readOnlyPorts(new FakeProcess(world), cluster),
    context,
  );
  return assessArchive(facts);
}

const statesOf = ({ repositories }: Awaited<ReturnType<typeof look>>) =>
  Object.fromEntries(repositories.map(({ repository, archive }) => [repository, archive.state]));

describe('a look at the archive', () => {
  it('finds nothing the matter while everything arrives', async () => {
    expect(statesOf(await look(build()))).toEqual({ local: 'healthy', s3: 'healthy' });
  });

  it('finds the repository that does not answer failing once WAL waits for it alone', async () => {
    const built = build();
    const s3 = built.world.repositories[1]!;
    s3.state = 'down';
    expect(statesOf(await look(built))).toEqual({ local: 'healthy', s3: 'unknown' });
    s3.segments.clear();
    expect(statesOf(await look(built))).toEqual({ local: 'healthy', s3: 'failing' });
  });

  it('knows nothing where no primary answers', async () => {
    const assessment = await look(build({ primary: 'stopped' }));
    expect(statesOf(assessment)).toEqual({ local: 'unknown', s3: 'unknown' });
    expect(assessment.backupsDue).toEqual([]);
  });
});

describe('the status', () => {
  const statusOf = ({ world, cluster }: FakeCluster) =>
    observeStatus(cluster, { expectedArchiveCommand }, readOnlyPorts(new FakeProcess(world), cluster), context);

  it('shows the archive of each repository', async () => {
    const status = await statusOf(build());
    expect(renderStatus(status, undefined)).toMatch(/^REPOSITORY .* ARCHIVE .*\nlocal .* healthy .*\ns3 .* healthy /m);
    expect(statusToJson(status, () => 'pgbackrest').repositories.map(({ archive }) => archive)).toEqual([
      { state: 'healthy' },
      { state: 'healthy' },
    ]);
  });

  it('says why WAL is late, what to type, and that somebody should look', async () => {
    const built = build({ events: EVENTS, archiverFailsFrom: EVENTS.length - 8 });
    const status = await statusOf(built);
    expect(status.repositories.map(({ archive }) => archive.state)).toEqual(['lagging', 'lagging']);
    const text = renderStatus(status, undefined);
    expect(text).toContain('warning: repository local is behind: lagging');
    expect(text).toContain('  next: spoke-backup');
    // The fake server has no archive_timeout either.
    expect(statusToJson(status, () => 'pgbackrest')).toMatchObject({
      repositories: [{ archive: { state: 'lagging', segments: expect.any(Number) } }, {}],
      findings: [
        { code: 'archive-lagging', repository: 'local' },
        { code: 'archive-lagging', repository: 's3' },
        { code: 'archive-timeout-too-long' },
      ],
    });
  });

  it('counts what is critical as a finding, and a lag not yet', async () => {
    const built = build();
    expect(hasFindings(await statusOf(built))).toBe(false);
    const status = await statusOf(built);
    expect(hasFindings({ ...status, findings: [{ ...gap, severity: 'warning' }] })).toBe(false);
    expect(hasFindings({ ...status, findings: [gap] })).toBe(true);
  });
});

const gap = { code: 'archive-gap', severity: 'critical', message: 'm', evidence: [], cause: 'c', nextCommand: 'n' } as const;
