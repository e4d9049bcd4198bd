import { SpokeError } from '../../src/errors.ts';
import type { SetupReadPorts, SetupWritePorts } from '../../src/ports/bundle.ts';
import type { BouncerObservation, PgBouncerControl, PgBouncerReader } from '../../src/ports/pgbouncer.ts';
import type { SettingFacts } from '../../src/ports/server-setup.ts';
import type { FakeProcess } from './process.ts';

/** Of every password. */
const VERIFIER =
  'SCRAM-SHA-256$4096:c3Nzc3Nzc3Nzc3Nzc3Nzcw==$a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=:dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnY=';

/** A PgBouncer whose files name databases. Transactions are open for as long as a test says. */
export class FakeBouncer {
  /** What its configuration on disk says; it has read it at its start and with each RELOAD. */
  configured: readonly string[];
  readonly paused = new Set<string>();
  /** Databases in which somebody has a transaction open. */
  readonly inUse = new Set<string>();
  #databases: readonly string[];

  constructor(databases: readonly string[]) {
    this.configured = databases;
    this.#databases = databases;
  }

  observe(): BouncerObservation {
    const databases = this.#databases.map((name) => ({
      name,
      host: '127.0.0.1',
      port: 5432,
      paused: this.paused.has(name),
      disabled: false,
    }));
    const own = { name: 'pgbouncer', port: 6432, paused: false, disabled: false };
    return { version: 'PgBouncer 1.18.0', databases: [...databases, own], pools: [] };
  }

  pause(database: string): void {
    this.#require(database);
    if (this.inUse.has(database)) throw new SpokeError('TIMED_OUT', 'no answer within the limit');
    this.paused.add(database);
  }

  evict(database: string): void {
    this.#require(database);
    this.inUse.delete(database);
    this.paused.add(database);
  }

  resume(database: string): void {
    this.#require(database);
    this.paused.delete(database);
  }

  reload(): void {
    this.#databases = this.configured;
  }

  #require(database: string): void {
    if (!this.#databases.includes(database)) throw new SpokeError('POSTGRES_FAILED', `PgBouncer offers no database "${database}"`);
  }
}

/** The consoles of those PgBouncers, by their URLs. */
export function fakeConsole(bouncers: ReadonlyMap<string, FakeBouncer>): PgBouncerReader & PgBouncerControl {
  const at = async (url: string) => {
    const found = bouncers.get(url);
    if (found === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'connection refused');
    return found;
  };
  return {
    observe: async (url) => (await at(url)).observe(),
    pause: async (url, database) => (await at(url)).pause(database),
    evict: async (url, database) => (await at(url)).evict(database),
    resume: async (url, database) => (await at(url)).resume(database),
    reload: async (url) => (await at(url)).reload(),
  };
}

/** A machine with nothing in front of its servers, whose servers lack every role. */
export function fakeSetupReadPorts(process: FakeProcess): SetupReadPorts {
  const world = process.world;
  return {
    servers: {
      readVerifiers: () => Promise.resolve(new Map<string, string>()),
      observeRole: (_address, { name }) => process.read(() => world.roles.get(name)),
      observeSettings: () => Promise.resolve<readonly SettingFacts[]>([]),
      observeHba: () => Promise.resolve({ file: '/etc/pg_hba.conf', text: '', errors: [] }),
    },
    bouncers: fakeConsole(world.bouncers),
    endpoints: { isCurrent: (file, text) => process.read(() => world.fs.readFile(file) === text) },
    machine: { facts: () => Promise.resolve({ memoryBytes: 16 * 1024 ** 3, cores: 4 }) },
    secrets: {
      replicationPassword: () => process.read(() => world.replicationPassword),
      backupPassword: () => Promise.resolve(undefined),
      bouncerAdminUrl: (name) => Promise.resolve(`postgresql://admin:secret@127.0.0.1:6432/${name}`),
    },
    verifiers: { create: () => Promise.resolve(VERIFIER), matches: (verifier) => Promise.resolve(verifier === VERIFIER) },
  };
}

export function fakeSetupWritePorts(process: FakeProcess): SetupWritePorts {
  const { world } = process;
  const console = fakeConsole(world.bouncers);
  return {
    servers: { ensureRole: () => process.change('ensure role', () => undefined) },
    bouncers: {
      ...console,
      pause: async (...given) => await process.change('pause PgBouncer', () => console.pause(...given)),
      evict: async (...given) => await process.change('evict from PgBouncer', () => console.evict(...given)),
      resume: async (...given) => await process.change('resume PgBouncer', () => console.resume(...given)),
      reload: async (...given) => await process.change('reload PgBouncer', () => console.reload(...given)),
    },
    endpoints: { publish: ({ file, text }) => process.change('publish endpoints', () => world.fs.writeFile(file, text)) },
  };
}
