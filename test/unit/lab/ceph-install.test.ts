import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SpokeError } from '../../../src/errors.ts';
import { ensureCeph } from '../../../src/lab/s3-server/ceph-install.ts';
import type { ProcessRequest, ProcessRunner } from '../../../src/ports/process-runner.ts';

let cache: string;
const lines: string[] = [];

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'cache-'));
  lines.length = 0;
});
afterEach(() => rm(cache, { recursive: true }));

interface Archive {
  /** Suites that can be had. */
  readonly suites: readonly string[];
  /** What the loader says of every program. */
  readonly libraries?: string;
}

/** An apt that knows one package beside the programs' own and one that is no library, and a dpkg-deb that unpacks empty files. */
function aptOf(archive: Archive, asked: string[]): ProcessRunner {
  const answer = async ({ file, argv, cwd }: ProcessRequest): Promise<string | undefined> => {
    if (file === 'dpkg-deb') return unpack(argv[2] ?? '');
    if (argv[0] === '--list') return archive.libraries ?? '\tlibc.so.6 => /lib/libc.so.6 (0x0)\n';
    if (argv[0] === 'indextargets') return 'Debian|bookworm|http://mirror.example/debian/\n';
    const configuration = argv[1] ?? '';
    const source = await readFile(join(dirname(configuration), 'sources.list'), 'utf8');
    const [, , mirror = '', suite = ''] = source.split(' ');
    switch (argv[2]) {
      case 'update':
        asked.push(`${mirror} ${suite}`);
        return archive.suites.includes(suite) ? '' : undefined;
      case '--simulate':
        return ['radosgw', 'libc6', 'python3'].map((name) => `Inst ${name} (1 Debian:x [amd64])\n`).join('');
      case 'show':
        return 'Package: radosgw\nVersion: 20\nSection: admin\n\nPackage: libc6\nVersion: 2\nSection: libs\n\nPackage: python3\nVersion: 3\nSection: python\n';
      case 'download':
        asked.push(argv.slice(4).join(' '));
        await writeFile(join(cwd ?? '', 'radosgw.deb'), '');
        return '';
      default:
        return undefined;
    }
  };
  return {
    async run(request) {
      const stdout = await answer(request);
      return { exitCode: stdout === undefined ? 100 : 0, stdout: stdout ?? '', stderrTail: 'E: no such suite', durationMs: 1 };
    },
  };
}

async function unpack(tree: string): Promise<string> {
  await mkdir(join(tree, 'usr/lib/x86_64-linux-gnu'), { recursive: true });
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  for (const file of ['usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', 'usr/bin/radosgw', 'usr/bin/rbd'])
    await writeFile(join(tree, file), '');
  return '';
}

function contextOf(runner: ProcessRunner) {
  const signal = new AbortController().signal;
  return { processes: runner, signal, report: (line: string) => lines.push(line), environment: { XDG_CACHE_HOME: cache } };
}

test('sid is taken from the mirror of this machine, only programs and libraries of it, and later from the cache', async () => {
  const asked: string[] = [];
  const context = contextOf(aptOf({ suites: ['sid', 'trixie'] }, asked));
  const install = await ensureCeph(context);
  expect(install).toMatchObject({ suite: 'sid', version: '20' });
  expect(asked).toEqual(['http://mirror.example/debian sid', 'radosgw libc6']);
  expect(await readdir(join(install.root, 'usr/bin'))).toEqual(['radosgw']);
  expect(await ensureCeph(context)).toEqual(install);
  expect(asked).toHaveLength(2);
  expect(await readdir(join(cache, 'spoke-backup/s3-server'))).toEqual([`ceph-sid-${process.arch}`]);
});

test('trixie is taken where sid cannot be had from any mirror, and that is said', async () => {
  const asked: string[] = [];
  const context = contextOf(aptOf({ suites: ['trixie'] }, asked));
  const named = { ...context, environment: { ...context.environment, SPOKE_LAB_DEBIAN_MIRROR: 'http://named.example/debian' } };
  expect((await ensureCeph(named)).suite).toBe('trixie');
  expect(asked.slice(0, 3)).toEqual([
    'http://named.example/debian sid',
    'http://mirror.example/debian sid',
    'http://named.example/debian trixie',
  ]);
  expect(lines.at(-1)).toContain('sid could not be used');
});

test.each<[string, Archive]>([
  ['no suite can be had', { suites: [] }],
  ['a library is missing in what was unpacked', { suites: ['sid', 'trixie'], libraries: '\tlibboost.so.1 => not found\n' }],
])('where %s, the error names the way without, and nothing is left in the cache', async (_, archive) => {
  const thrown: unknown = await ensureCeph(contextOf(aptOf(archive, []))).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(SpokeError);
  expect(thrown).toMatchObject({ code: 'TOOL_MISSING' });
  expect((thrown as SpokeError).hint).toContain('SPOKE_LAB_S3_ENDPOINT');
  expect(await readdir(join(cache, 'spoke-backup/s3-server'))).toEqual([]);
});
