import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import { type RestoreOptions, restoreRequestOf } from '../../../src/cli/restore-options.ts';
import type { Session } from '../../../src/cli/session.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { RUN_ID } from '../engine/machinery.ts';

/** 2026-11-22 21:16:28 UTC */
const NOW = instantOfMicros(1_795_382_188_000_000n);
const { cluster } = buildCluster({ repositories: 2 });
const OPTIONS: RestoreOptions = {
  to: 'latest',
  timeline: 'latest',
  targetAction: 'promote',
  tablespaceMap: [],
  backup: true,
  start: true,
  dataDirectory: '/srv/restored',
};

/** All of a session that reading the options needs. */
function sessionWith(timezone?: string): Session {
  const ports = { clock: { now: () => NOW } };
  return { cluster, configuration: timezone === undefined ? {} : { timezone }, ports } as unknown as Session;
}

function parse(changes: Partial<Record<keyof RestoreOptions, unknown>>, session = sessionWith()) {
  const options = { ...OPTIONS, ...changes } as RestoreOptions;
  const output = new Output({ json: false, quiet: true, verbose: false });
  return restoreRequestOf(options, session, RUN_ID, { signal: new AbortController().signal, version: '0', root: '/', output });
}

const refusal = { code: 'USAGE', exitCode: 2 };

describe('where to restore to', () => {
  it.each([
    [{ to: 'latest' }, { kind: 'latest' }],
    [{ to: 'immediate' }, { kind: 'immediate' }],
    [
      { to: undefined, toLsn: '0/3000060' },
      { kind: 'lsn', lsn: 0x3000060n, inclusive: true },
    ],
    [
      { to: undefined, toLsn: 'ABC/0', exclusive: true },
      { kind: 'lsn', lsn: 0xabc_0000_0000n, inclusive: false },
    ],
    [
      { to: undefined, toXid: '18446744073709551615' },
      { kind: 'xid', xid: 2n ** 64n - 1n, inclusive: true },
    ],
    [
      { to: undefined, toName: "it's \\ hère" },
      { kind: 'name', name: "it's \\ hère" },
    ],
  ])('can be said (%#)', async (options, target) => {
    expect((await parse(options)).target).toEqual(target);
  });

  it('can be said as an instant with its offset, to the microsecond', async () => {
    const { target } = await parse({ to: '2026-11-22 14:05:00.123456+01' });
    expect(target).toEqual({ kind: 'time', time: BigInt(Date.UTC(2026, 10, 22, 13, 5)) * 1000n + 123_456n, inclusive: true });
  });

  it('can be said as an instant of the configured zone', async () => {
    const { target } = await parse({ to: '2026-11-22 14:05:00' }, sessionWith('Europe/Paris'));
    expect(target).toMatchObject({ kind: 'time', time: BigInt(Date.UTC(2026, 10, 22, 13, 5)) * 1000n });
  });

  it('is refused without a zone, with what may be meant', async () => {
    await expect(parse({ to: '2026-11-22 14:05:00' })).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining('2026-11-22'),
    });
  });

  it.each([
    ['not at all', { to: undefined }],
    ['twice', { to: 'latest', toXid: '700' }],
    ['as no instant', { to: 'whenever' }],
    ['as an empty instant', { to: '' }],
    ['as no LSN', { to: undefined, toLsn: '3000060' }],
    ['as a transaction above 64 bits', { to: undefined, toXid: '18446744073709551616' }],
    ['as a negative transaction', { to: undefined, toXid: '-1' }],
    ['as a hexadecimal transaction', { to: undefined, toXid: '0x10' }],
    ['as a restore point without a name', { to: undefined, toName: '' }],
    ['as a restore point of more than 63 bytes', { to: undefined, toName: 'ä'.repeat(32) }],
    ['as a restore point with a line break', { to: undefined, toName: "x'\nrestore_command = 'rm" }],
    ['exclusively where there is nothing to exclude', { to: 'latest', exclusive: true }],
    ['as a pause at the end', { to: 'latest', targetAction: 'pause' }],
    ['with an unknown action', { targetAction: 'shutdown' }],
  ])('is refused %s', async (_how, options) => {
    await expect(parse(options)).rejects.toMatchObject({ ...refusal, hint: expect.stringMatching(/./) });
  });
});

describe('which timeline', () => {
  it.each([
    ['latest', 'latest'],
    ['current', 'current'],
    ['3', 3],
    ['4294967295', 4_294_967_295],
  ])('%s is one', async (timeline, parsed) => {
    expect((await parse({ timeline })).timeline).toBe(parsed);
  });

  it.each(['', '0', '-1', '1.5', '1e2', '0x2', ' 2', '4294967296', 'newest', '９'])('"%s" is none', async (timeline) => {
    await expect(parse({ timeline })).rejects.toMatchObject(refusal);
  });
});

describe('which backup and repository', () => {
  it.each(['20261122-020003F', '20261122-020003F_20261122-080002I', '20261122-020003F_20261122-080002D'])('%s is a label', async (set) => {
    expect((await parse({ set })).label).toBe(set);
  });

  it.each([
    '',
    'latest',
    '../20261122-020003F',
    '20261122-020003F; rm -rf /',
    '$(id)',
    '--repo1-path=/',
    '20261122-020003F\0',
    '20261122-020003F\n',
  ])('%j is no label', async (set) => {
    await expect(parse({ set })).rejects.toMatchObject(refusal);
  });

  it('is one of the configuration, else those are named', async () => {
    expect((await parse({ repo: 's3' })).repository).toBe('s3');
    await expect(parse({ repo: '../s3' })).rejects.toMatchObject({ ...refusal, hint: 'Known are: local, s3' });
  });
});

describe('where the data goes', () => {
  it('is a directory, made absolute and plain', async () => {
    expect((await parse({ dataDirectory: '/srv/a/../b//c/', port: '5433' })).destination).toEqual({
      kind: 'directory',
      path: '/srv/b/c',
      port: 5433,
    });
  });

  it('may have spaces, quotes and other letters in it', async () => {
    for (const path of ["/srv/it's here", '/srv/a b', '/srv/données', '/srv/-rf', '/srv/$(id)'])
      expect((await parse({ dataDirectory: path })).destination).toMatchObject({ path });
  });

  it('is the place of a node, named or not', async () => {
    expect((await parse({ dataDirectory: undefined, inPlace: true })).destination).toEqual({ kind: 'in-place' });
    expect((await parse({ dataDirectory: undefined, inPlace: 'replica-2' })).destination).toEqual({ kind: 'in-place', node: 'replica-2' });
  });

  it.each([
    ['nowhere', { dataDirectory: undefined }],
    ['twice', { inPlace: true }],
    ['as an empty path', { dataDirectory: '' }],
    ['with a NUL byte', { dataDirectory: '/srv/a\0b' }],
    ['with a line break', { dataDirectory: '/srv/a\nb' }],
    ['on port 0', { port: '0' }],
    ['on port 65536', { port: '65536' }],
    ['on a port that is no number', { port: '5432 -c fsync=off' }],
    ['with a map of one side', { tablespaceMap: ['/srv/ts0'] }],
    ['with a map of three sides', { tablespaceMap: ['/a=/b=/c'] }],
    ['with a map from a relative path', { tablespaceMap: ['ts0=/new'] }],
    ['with a map to nowhere', { tablespaceMap: ['/srv/ts0='] }],
  ])('is refused %s', async (_how, options) => {
    await expect(parse(options)).rejects.toMatchObject(refusal);
  });

  it('maps each tablespace', async () => {
    const { tablespaceMap } = await parse({ tablespaceMap: ['/srv/ts0=/new/0', '/srv/ts1=/new/1'] });
    expect([...tablespaceMap]).toEqual([
      ['/srv/ts0', '/new/0'],
      ['/srv/ts1', '/new/1'],
    ]);
  });
});

describe('whatever is typed', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.constantFrom('latest', '0/1', '700', '/srv/x', '../..', '--', '\0'),
  );

  it('is understood or refused as usage, and never a bug', async () => {
    const typed = fc.record(
      {
        to: anything,
        toLsn: anything,
        toXid: anything,
        toName: anything,
        timeline: anything,
        repo: anything,
        set: anything,
        dataDirectory: anything,
        port: anything,
        targetAction: anything,
        tablespaceMap: fc.array(anything, { maxLength: 2 }),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(typed, async (options) => {
        try {
          await parse({ to: undefined, ...options });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SpokeError);
          expect(['USAGE', 'CONFIRMATION_REQUIRED']).toContain((thrown as SpokeError).code);
        }
      }),
      { numRuns: 500 },
    );
  });
});
