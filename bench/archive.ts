import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { configurationText } from '../src/adapters/native/wal/configuration-text.ts';
import type { NativeSettings } from '../src/adapters/native/settings.ts';
import type { RepositoryName } from '../src/domain/catalog/base-backup.ts';
import { type Comparison, quantile } from './compare.ts';

const PUSH = join(import.meta.dirname, '../bin/spoke-wal-push');
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Segments of a backlog: 16 GB, kept by a replication slot. */
const BACKLOG = 1000;
const BLOCK = 40;
const SLOT = 'bench_backlog';

/** A durable copy as one writes it in a shell: refuses what is there, copies, fsync, rename, fsync of the directory. */
const DURABLE_CP = `#!/bin/sh
set -e
[ ! -e "$2/\${1##*/}" ]
dd if="$1" of="$2/.\${1##*/}.tmp" bs=1M conv=fsync status=none
mv "$2/.\${1##*/}.tmp" "$2/\${1##*/}"
sync "$2"
`;

export interface ArchiveLab {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly osUser: string;
  /** Runs a program as the owner of the servers. */
  asOwner(file: string, argv: readonly string[]): Promise<{ readonly stdout: string }>;
  psql(statement: string): Promise<string>;
  /** pgBackRest's options that tell how the server is reached. */
  readonly connection: readonly string[];
  /** Writes WAL as an application does. */
  pgbench(transactions: number): Promise<void>;
}

type Kind = 'random' | 'pgbench';

/** One segment at a time, as PostgreSQL's archiver starts its command; and a backlog through the archiver itself. */
export async function archiveComparisons(lab: ArchiveLab): Promise<readonly Comparison[]> {
  const bench = await Bench.create(lab);
  const single = (kind: Kind, bare: 'cp' | 'pgbackrest', goal: number): Comparison => ({
    ...{ name: `archive-${kind}-${bare}`, goal },
    ours: { what: `\`spoke-wal-push\` of one 16 MiB segment (${describe(kind)})`, run: () => bench.time('ours', kind) },
    bare: { what: bench.describe(bare), run: () => bench.time(bare, kind) },
  });
  const worst = (kind: Kind): Comparison => ({
    ...{ name: `archive-${kind}-cp-p99`, goal: 1.5 },
    ours: { what: `the 99th percentile of ${BLOCK} such (${describe(kind)})`, run: () => bench.worst('ours', kind) },
    bare: { what: `that of ${BLOCK} durable copies`, run: () => bench.worst('cp', kind) },
  });
  return [
    ...(['random', 'pgbench'] as const).flatMap((kind) => [single(kind, 'cp', 1.2), single(kind, 'pgbackrest', 0.6), worst(kind)]),
    {
      ...{ name: 'archive-backlog', goal: 1 },
      ours: { what: `a backlog of ${BACKLOG} full segments through PostgreSQL's archiver`, run: () => bench.drain('ours') },
      bare: { what: 'the same by asynchronous `pgbackrest archive-push` (lz4, two processes)', run: () => bench.drain('pgbackrest-async') },
    },
  ];
}

function describe(kind: Kind): string {
  return kind === 'random' ? 'incompressible' : 'written by pgbench';
}

const PGBACKREST = ['pgbackrest', 'pgbackrest-async'] as const;

type Way = 'ours' | 'cp' | 'pgbackrest' | 'pgbackrest-async';

class Bench {
  readonly #lab: ArchiveLab;
  readonly #directory: string;
  readonly #sources: Readonly<Record<Kind, Buffer>>;
  #count = 0x1000;
  #backlog: readonly string[] | undefined;

  private constructor(lab: ArchiveLab, directory: string, sources: Readonly<Record<Kind, Buffer>>) {
    this.#lab = lab;
    this.#directory = directory;
    this.#sources = sources;
  }

  static async create(lab: ArchiveLab): Promise<Bench> {
    const directory = join(lab.directory, 'archive-bench');
    mkdirSync(directory, { mode: 0o711 });
    if (process.getuid?.() === 0) await execa('chown', [lab.osUser, directory]);
    await lab.pgbench(20_000);
    const closed = (await lab.psql('SELECT pg_walfile_name(pg_current_wal_lsn() - 16 * 1024 * 1024)')).trim();
    const written = readFileSync(join(lab.dataDirectory, 'pg_wal', closed));
    const random = Buffer.concat([written.subarray(0, 40), randomBytes(SEGMENT_BYTES - 40)]);
    const bench = new Bench(lab, directory, { random, pgbench: written });
    await bench.#setUp(String(written.readBigUInt64LE(24)));
    return bench;
  }

  describe(bare: 'cp' | 'pgbackrest'): string {
    return bare === 'cp'
      ? 'a durable copy (`dd conv=fsync`, `mv`, `sync` of the directory)'
      : 'synchronous `pgbackrest archive-push` (lz4)';
  }

  async time(way: Way, kind: Kind): Promise<number> {
    const path = await this.#next(kind);
    const command = this.#command(way).replace('%p', path);
    const startedMs = performance.now();
    // As PostgreSQL does it, and without the turns of an event loop, which would count for both.
    const { status } = spawnSync('sh', ['-c', command], { cwd: this.#lab.dataDirectory, stdio: ['ignore', 'ignore', 'inherit'] });
    const took = (performance.now() - startedMs) / 1000;
    if (status !== 0) throw new Error(`${command} ended with exit code ${status}`);
    rmSync(join(this.#lab.dataDirectory, path));
    return took;
  }

  async worst(way: Way, kind: Kind): Promise<number> {
    const times: number[] = [];
    while (times.length < BLOCK) times.push(await this.time(way, kind));
    return quantile(times, 0.99);
  }

  /** Until PostgreSQL's archiver has archived every segment of the backlog. */
  async drain(way: Way): Promise<number> {
    this.#backlog ??= await this.#makeBacklog();
    this.#empty(way);
    const status = join(this.#lab.dataDirectory, 'pg_wal/archive_status');
    for (const name of this.#backlog) renameSync(join(status, `${name}.done`), join(status, `${name}.ready`));
    const startedMs = performance.now();
    await this.#archiveBy(this.#command(way));
    while (readdirSync(status).some((name) => name.endsWith('.ready'))) await new Promise((resolve) => setTimeout(resolve, 20));
    const took = (performance.now() - startedMs) / 1000;
    await this.#archiveBy('');
    return took;
  }

  async #setUp(systemIdentifier: string): Promise<void> {
    const repository = join(this.#directory, 'repository');
    const ofPgbackrest = PGBACKREST.flatMap((way) => [way, ...['log', 'lock', 'spool'].map((name) => `${way}-${name}`)]);
    for (const path of ['repository', 'plain', ...ofPgbackrest])
      await this.#lab.asOwner('mkdir', ['-m', '0750', join(this.#directory, path)]);
    const spool = join(this.#directory, 'native/spool');
    for (const path of ['failed', 'errors', 'sums']) await this.#lab.asOwner('mkdir', ['-p', join(spool, path)]);
    writeFileSync(join(repository, 'cluster.json'), JSON.stringify({ layoutVersion: 1, systemIdentifier }));
    writeFileSync(join(this.#directory, 'native/wal.conf'), configurationText(this.#settings(repository)));
    writeFileSync(join(this.#directory, 'durable-cp'), DURABLE_CP, { mode: 0o755 });
    for (const way of PGBACKREST) {
      writeFileSync(join(this.#directory, `${way}.conf`), this.#pgbackrestConfiguration(way));
      await this.#lab.asOwner('pgbackrest', [...this.#pgbackrest(way), 'stanza-create']);
    }
  }

  #settings(directory: string): NativeSettings {
    const repositories = [{ name: 'local' as RepositoryName, kind: 'local' as const, retentionDays: 7, directory, open: notNeeded }];
    return {
      ...{ cluster: 'bench', directory: join(this.#directory, 'native'), programDirectory: join(PUSH, '..'), binDirectoryOf: notNeeded },
      ...{ compressType: 'zst', compressLevel: 1, backupFrom: 'primary', ack: 'local', ackTimeoutSeconds: 60, repositories, nodes: [] },
    };
  }

  #pgbackrestConfiguration(way: 'pgbackrest' | 'pgbackrest-async'): string {
    const lines = [
      '[global]',
      `repo1-path=${join(this.#directory, way)}`,
      ...['log', 'lock', 'spool'].map((name) => `${name}-path=${join(this.#directory, `${way}-${name}`)}`),
      ...['compress-type=lz4', 'process-max=2', 'log-level-console=error', 'log-level-stderr=error', 'log-level-file=off'],
      ...(way === 'pgbackrest-async' ? ['archive-async=y'] : []),
      '[bench]',
      `pg1-path=${this.#lab.dataDirectory}`,
      ...this.#lab.connection,
    ];
    return `${lines.join('\n')}\n`;
  }

  #pgbackrest(way: Way): string[] {
    return [`--config=${join(this.#directory, `${way}.conf`)}`, '--stanza=bench'];
  }

  #command(way: Way): string {
    if (way === 'ours') return `${PUSH} -c ${join(this.#directory, 'native/wal.conf')} %p`;
    if (way === 'cp') return `${join(this.#directory, 'durable-cp')} %p ${join(this.#directory, 'plain')}`;
    return `pgbackrest ${this.#pgbackrest(way).join(' ')} archive-push %p`;
  }

  /** A segment that nobody has seen, in the page cache and on disk, as PostgreSQL leaves it. */
  async #next(kind: Kind): Promise<string> {
    this.#count += 1;
    const high = Math.floor(this.#count / 256);
    const low = this.#count % 256;
    const name = `00000001${hex8(high)}${hex8(low)}`;
    const content = this.#sources[kind];
    content.writeBigUInt64LE((BigInt(high) << 32n) + BigInt(low * SEGMENT_BYTES), 8);
    const path = join(this.#lab.dataDirectory, 'pg_wal', name);
    writeFileSync(path, content, { flush: true });
    await this.#run(['chown', this.#lab.osUser, path]);
    return `pg_wal/${name}`;
  }

  async #makeBacklog(): Promise<readonly string[]> {
    await this.#archiveBy('/bin/true');
    await this.#lab.psql(`SELECT pg_create_physical_replication_slot('${SLOT}', true)`);
    const status = join(this.#lab.dataDirectory, 'pg_wal/archive_status');
    const closed = () => readdirSync(status).filter((name) => /^[0-9A-F]{24}\.done$/.test(name));
    for (const name of closed()) rmSync(join(status, name));
    await this.#lab.psql('CREATE TABLE IF NOT EXISTS backlog (line text)');
    while (closed().length < BACKLOG) {
      await this.#lab.psql('INSERT INTO backlog SELECT md5(random()::text) || md5(i::text) FROM generate_series(1, 400000) AS i');
      await this.#lab.psql('TRUNCATE backlog');
    }
    await this.#archiveBy('');
    return closed()
      .sort()
      .slice(0, BACKLOG)
      .map((name) => name.slice(0, 24));
  }

  #empty(way: Way): void {
    if (way === 'ours')
      for (const name of ['wal', '.tmp']) rmSync(join(this.#directory, 'repository', name), { recursive: true, force: true });
    else {
      const archive = join(this.#directory, way, 'archive/bench');
      for (const name of readdirSync(archive)) if (/^\d+-1$/.test(name)) rmSync(join(archive, name), { recursive: true });
      rmSync(join(this.#directory, `${way}-spool/archive`), { recursive: true, force: true });
    }
  }

  async #archiveBy(command: string): Promise<void> {
    await this.#lab.psql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
    await this.#lab.psql('SELECT pg_reload_conf()');
  }

  async #run([file = '', ...argv]: readonly string[]): Promise<void> {
    await execa(file, argv, { cwd: this.#lab.dataDirectory, stdin: 'ignore' });
  }
}

function notNeeded(): Promise<never> {
  return Promise.reject(new Error('the program needs none'));
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
