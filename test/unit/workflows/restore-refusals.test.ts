import { describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import type { RecoveryTarget } from '../../../src/domain/recovery/target.ts';
import { addMicros } from '../../../src/domain/time/instant.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import type { RestoreWorld } from '../../../src/workflows/restore/request.ts';
import { buildCluster, commits, DATA_DIRECTORY, NODE } from '../../fakes/cluster.ts';
import { ROOT_USER } from '../../fakes/world.ts';
import { BESIDE, observe, refusalOf, requestOf, sound, withDestination } from './restore-world.ts';

const SECOND = 1_000_000n;

function expectRefused(world: RestoreWorld, request: Parameters<typeof refusalOf>[0], code: ErrorCode, exitCode: number) {
  const refusal = refusalOf(request, world);
  expect({ code: refusal.code, exitCode: refusal.exitCode }).toEqual({ code, exitCode });
  expect(refusal.hint).not.toBe('');
  return refusal;
}

describe('a restore is accepted', () => {
  it('where nothing speaks against it', async () => {
    const { request, observed } = await sound();
    expect(decideRestore(request, observed).dataDirectory).toBe(BESIDE);
  });

  it('into an empty directory, and over a data directory of the same cluster that does not run', async () => {
    const { request, observed } = await sound();
    expect(decideRestore(request, withDestination(observed, { kind: 'empty', identity: '8:5' })).oldDataDirectory).toBeNull();
    const stopped = await sound({ destination: { kind: 'directory', path: DATA_DIRECTORY } }, { primary: 'stopped' });
    expect(decideRestore(stopped.request, stopped.observed).oldDataDirectory).toBe(`${DATA_DIRECTORY}.old-k3f9`);
  });

  it('in place over the running server of the node itself', async () => {
    const { request, observed } = await sound({ destination: { kind: 'in-place', node: NODE } });
    expect(decideRestore(request, observed)).toMatchObject({ inPlaceNode: NODE, dataDirectory: DATA_DIRECTORY, archiving: 'keep' });
  });
});

describe('a restore is refused', () => {
  it.each<[string, Partial<DirectoryFacts>, string]>([
    ['into / and its like', { forbidden: '/ is a directory of the operating system' }, 'operating system'],
    ['into what is no directory', { kind: 'not a directory' }, 'not a directory'],
    ['through a symbolic link', { isSymbolicLink: true, realPath: '/elsewhere' }, '/elsewhere'],
    ['into a directory with other things in it', { kind: 'other' }, 'not empty'],
    ['into a mount point', { kind: 'empty', isMountPoint: true }, 'mount point'],
    ['where the parent cannot be written to', { parentWritable: false }, 'parent directory'],
  ])('%s', async (_what, facts, why) => {
    const { request, observed } = await sound();
    const refusal = expectRefused(withDestination(observed, facts), request, 'REFUSED_UNSAFE_DIRECTORY', 12);
    expect(refusal.message).toContain(why);
    expect(refusal.hint).toContain('--data-directory');
  });

  it('through a symbolic link to a living cluster, which it names', async () => {
    const { request, observed } = await sound();
    const world = withDestination(observed, { isSymbolicLink: true, realPath: DATA_DIRECTORY, running: { evidence: 'process', pid: 7 } });
    expect(refusalOf(request, world).message).toContain(`${DATA_DIRECTORY}, where a server runs`);
  });

  it.each(['postmaster.pid', 'process', 'socket', 'shared memory'] as const)('over a server that is seen by its %s', async (evidence) => {
    const { request, observed } = await sound();
    const world = withDestination(observed, { kind: 'postgres', running: { evidence, pid: 4711 } });
    const refusal = expectRefused(world, request, 'REFUSED_SERVER_RUNNING', 12);
    expect(refusal.message).toContain(evidence);
    expect(refusal.message).toContain('4711');
    expect(refusal.hint).toContain('--in-place');
  });

  it('of a directory that is both forbidden and in use for what is worse', async () => {
    const { request, observed } = await sound();
    const world = withDestination(observed, { forbidden: 'a home directory', running: { evidence: 'process' } });
    expect(refusalOf(request, world).code).toBe('REFUSED_UNSAFE_DIRECTORY');
  });

  it.each([
    ['down', 'REPOSITORY_UNAVAILABLE'],
    ['denied', 'REPOSITORY_DENIED'],
  ] as const)('where no repository can be read: %s', async (state, code) => {
    const built = buildCluster();
    for (const repository of built.world.repositories) repository.state = state;
    const request = requestOf(built);
    const refusal = expectRefused(await observe(built, request), request, code, 21);
    expect(refusal.message).toContain('local:');
  });

  it('over another cluster', async () => {
    const { request, observed } = await sound({ destination: { kind: 'directory', path: DATA_DIRECTORY } }, { primary: 'stopped' });
    const { control } = observed.destination;
    if (control === undefined) throw new Error('the stopped primary has no pg_control');
    const other = { ...control, systemIdentifier: 42n as typeof control.systemIdentifier };
    const refusal = expectRefused(withDestination(observed, { control: other }), request, 'REFUSED_WRONG_CLUSTER', 12);
    expect(refusal.details).toMatchObject({ found: '42', expected: String(control.systemIdentifier) });
  });

  it('where that major version of PostgreSQL is not installed', async () => {
    const built = buildCluster();
    built.world.installedMajors.clear();
    const request = requestOf(built);
    const refusal = expectRefused(await observe(built, request), request, 'REFUSED_POSTGRES_VERSION', 12);
    expect(refusal.hint).toContain('postgresql-15');
  });

  it('as root where there is no other user to run the server as', async () => {
    const { request, observed } = await sound({}, { primary: 'gone', currentUser: ROOT_USER });
    const { osUser: _none, ...world } = observed;
    const refusal = expectRefused(world, request, 'REFUSED_PRECONDITION', 12);
    expect(refusal.hint).toContain('osUser');
  });

  it('as one user over the data directory of another', async () => {
    const currentUser = { uid: 1000, gid: 1000, name: 'someone' };
    const { request, observed } = await sound(
      { destination: { kind: 'directory', path: DATA_DIRECTORY } },
      { primary: 'stopped', currentUser },
    );
    expect(expectRefused(observed, request, 'REFUSED_PRECONDITION', 12).hint).toContain('sudo -u postgres');
  });

  it.each<[string, bigint, bigint]>([
    ['of the backup, the WAL and the headroom', 10_000_000n + 64n * 1024n * 1024n, 0n],
    ['unless it is there to the last byte', 0n, 1n],
  ])('for want of the space %s', async (_what, least, short) => {
    const { request, observed } = await sound();
    const [candidate] = observed.choice.kind === 'chosen' ? observed.choice.candidates : [];
    const needed = 10_000_000n + (candidate?.walBytes ?? 0n) + 64n * 1024n * 1024n;
    expect(needed).toBeGreaterThanOrEqual(least);
    expect(() => decideRestore(request, withDestination(observed, { freeBytes: needed }))).not.toThrow();
    const refusal = expectRefused(
      withDestination(observed, { freeBytes: needed - (short === 0n ? 1n : short) }),
      request,
      'REFUSED_NO_SPACE',
      12,
    );
    expect(refusal.details).toMatchObject({ neededBytes: String(needed) });
  });
});

describe('a target is refused', () => {
  const events = [...commits(4), { kind: 'backup', repository: 0, type: 'full' } as const, ...commits(12)];

  async function refusalTo(target: (times: { first: bigint; now: bigint }) => RecoveryTarget, changes = {}) {
    const built = buildCluster({ events, primary: 'gone' });
    const times = { first: built.world.history.records[0]?.time ?? 0n, now: built.world.now() };
    const request = requestOf(built, { target: target(times), ...changes });
    return refusalOf(request, await observe(built, request));
  }
  const time = (at: bigint): RecoveryTarget => ({ kind: 'time', time: at as never, inclusive: true });

  it.each<[string, (times: { first: bigint; now: bigint }) => RecoveryTarget, ErrorCode]>([
    ['that lies in the future', ({ now }) => time(now + 3600n * SECOND), 'TARGET_IN_FUTURE'],
    ['from before the first backup', ({ first }) => time(first), 'TARGET_BEFORE_WINDOW'],
    ['beyond the archived WAL', ({ now }) => time(now - SECOND), 'TARGET_AFTER_WINDOW'],
    ['at a position before the first backup', () => ({ kind: 'lsn', lsn: parseLsn('0/1000028'), inclusive: true }), 'TARGET_BEFORE_WINDOW'],
  ])('%s, with exit code 13', async (_what, target, code) => {
    const refusal = await refusalTo(target);
    expect({ code: refusal.code, exitCode: refusal.exitCode }).toEqual({ code, exitCode: 13 });
    expect(refusal.hint).not.toBe('');
  });

  it('with the nearest instant as the next command', async () => {
    const refusal = await refusalTo(({ first }) => time(first));
    expect(refusal.hint).toMatch(/--to "\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"/);
  });

  it('that lies in a gap, with the instants on both sides', async () => {
    const built = buildCluster({ events: [...events, { kind: 'backup', repository: 0, type: 'full' }, ...commits(6)], primary: 'gone' });
    const repository = built.world.repositories[0];
    const names = [...(repository?.segments.keys() ?? [])].sort();
    // The first two hold the backup, the third what was committed right after it.
    const missing = names[3] ?? '';
    const at = repository?.segments.get(missing) ?? 0n;
    repository?.segments.delete(missing);
    const request = requestOf(built, { target: time(at) });
    const refusal = refusalOf(request, await observe(built, request));
    expect({ code: refusal.code, exitCode: refusal.exitCode }).toEqual({ code: 'TARGET_IN_GAP', exitCode: 13 });
    expect(refusal.hint.match(/--to "/g)).toHaveLength(2);
  });

  it('on a timeline that there is not, and one by which backup that is not there', async () => {
    const timeline = await refusalTo(() => ({ kind: 'latest' }), { timeline: timelineIdOf(9) });
    expect({ code: timeline.code, exitCode: timeline.exitCode }).toEqual({ code: 'TARGET_TIMELINE', exitCode: 13 });
    const label = '20200101-000000F' as BackupLabel;
    expect(await refusalTo(() => ({ kind: 'latest' }), { label })).toMatchObject({ code: 'NO_BACKUP', exitCode: 13 });
  });

  it('with the repositories that could not be asked', async () => {
    const built = buildCluster({ events, repositories: 2, primary: 'gone' });
    const s3 = built.world.repositories[1];
    if (s3 !== undefined) s3.state = 'down';
    const request = requestOf(built, { target: time(addMicros(built.world.history.records[0]?.time ?? (0n as never), 0n)) });
    expect(refusalOf(request, await observe(built, request)).message).toContain('repository s3 could not be read');
  });

  it('only of the repository that was named', async () => {
    const built = buildCluster({ events, repositories: 2, primary: 'gone' });
    const request = requestOf(built, { repository: 's3' as RepositoryName });
    expect(refusalOf(request, await observe(built, request)).code).toBe('NO_BACKUP');
  });
});

describe('tablespaces are refused', () => {
  const map = (...entries: [string, string][]) => ({ tablespaceMap: new Map(entries) });

  it.each<[string, [string, string][], string]>([
    [
      'that the backup does not have',
      [
        ['/srv/ts0', '/new/0'],
        ['/srv/ts1', '/new/1'],
        ['/srv/other', '/new/2'],
      ],
      '/srv/other',
    ],
    [
      'that would share a directory',
      [
        ['/srv/ts0', '/new/0'],
        ['/srv/ts1', '/new/0'],
      ],
      'two tablespaces',
    ],
    [
      'that would go into a directory of the system',
      [
        ['/srv/ts0', '/etc'],
        ['/srv/ts1', '/new/1'],
      ],
      '/etc',
    ],
  ])('%s', async (_what, entries, why) => {
    const { request, observed } = await sound(map(...entries), { tablespaces: 2 });
    const refusal = expectRefused(observed, request, 'REFUSED_TABLESPACE', 12);
    expect(refusal.message).toContain(why);
    expect(refusal.hint).toContain('--tablespace-map');
  });

  it('where the originals still are, with a map to copy', async () => {
    const { request, observed } = await sound({}, { tablespaces: 2 });
    const refusal = expectRefused(observed, request, 'REFUSED_TABLESPACE', 12);
    expect(refusal.hint).toContain(`--tablespace-map /srv/ts0=${BESIDE}.tablespaces/ts0`);
    expect(refusal.hint).toContain(`--tablespace-map /srv/ts1=${BESIDE}.tablespaces/ts1`);
  });

  it('where something is in the place that the map gives, which is named', async () => {
    const { request, observed } = await sound(map(['/srv/ts0', '/new/0']), { tablespaces: 1 });
    const original = observed.tablespaceDirectories.get('/srv/ts0');
    if (original === undefined) throw new Error('the tablespace was not looked at');
    const occupied = { ...observed, tablespaceDirectories: new Map([['/new/0', original]]) };
    const { message } = expectRefused(occupied, request, 'REFUSED_TABLESPACE', 12);
    expect(message).toContain('/new/0');
    expect(message).not.toContain('/srv/ts0');
  });

  it('not in place: they go beside the old ones', async () => {
    const { request, observed } = await sound({ destination: { kind: 'in-place', node: NODE } }, { tablespaces: 1 });
    expect(decideRestore(request, observed).tablespaceMap).toEqual([{ oid: 16_400, location: '/srv/ts0.spoke-k3f9' }]);
  });

  it('not for space on a file system that nothing is written to', async () => {
    const { request, observed } = await sound(map(['/srv/ts0', '/new/0']), { tablespaces: 1 });
    const full = withDestination(observed, { freeBytes: 0n, fileSystem: '/data' });
    const original = full.tablespaceDirectories.get('/srv/ts0');
    const mapped = full.tablespaceDirectories.get('/new/0');
    if (original === undefined || mapped === undefined) throw new Error('the tablespace was not looked at');
    const tablespaceDirectories = new Map([
      ['/srv/ts0', { ...original, fileSystem: '/srv', freeBytes: 10n ** 15n }],
      ['/new/0', { ...mapped, fileSystem: '/data', freeBytes: 0n }],
    ]);
    expectRefused({ ...full, tablespaceDirectories }, request, 'REFUSED_NO_SPACE', 12);
  });
});

describe('--in-place', () => {
  const inPlace = (node?: string) => ({ destination: { kind: 'in-place' as const, ...(node === undefined ? {} : { node }) } });

  it('means the primary where one answers', async () => {
    expect((await sound(inPlace())).observed.destinationPath).toBe(DATA_DIRECTORY);
  });

  it('means the stopped former primary where none answers', async () => {
    expect((await sound(inPlace(), { primary: 'stopped' })).observed.destinationPath).toBe(DATA_DIRECTORY);
  });

  it('names the nodes that there are where the one named is not among them', async () => {
    const built = buildCluster();
    await expect(observe(built, requestOf(built, inPlace('replica-9')))).rejects.toMatchObject({
      code: 'USAGE',
      exitCode: 2,
      message: expect.stringContaining(NODE),
    });
  });

  it('needs to know where the data directory is', async () => {
    const built = buildCluster();
    const nodes = built.cluster.nodes.map(({ dataDirectory: _unknown, ...node }) => node);
    const cluster = { ...built.cluster, nodes };
    await expect(observe({ ...built, cluster }, requestOf({ ...built, cluster }, inPlace(NODE)))).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('dataDirectory'),
    });
  });
});
