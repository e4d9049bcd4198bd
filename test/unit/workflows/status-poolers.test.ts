import { describe, expect, it } from 'vitest';
import { SpokeError } from '../../../src/errors.ts';
import type { PgBouncerConfig } from '../../../src/config/model.ts';
import type { ReadPorts } from '../../../src/ports/bundle.ts';
import type { BouncerPool } from '../../../src/ports/pgbouncer.ts';
import { observePoolers, poolerOf } from '../../../src/workflows/status/poolers.ts';

const BOUNCER = {
  name: 'front',
  databases: { app: { to: 'primary' }, app_ro: { to: 'standbys' } },
} as unknown as PgBouncerConfig;

const database = (name: string, host: string, paused = false) => ({ name, host, port: 5432, paused, disabled: false });
const CONSOLE = { name: 'pgbouncer', port: 6432, paused: false, disabled: false };
const pool = (more: Partial<BouncerPool>): BouncerPool => ({
  database: 'app',
  user: 'u',
  clientsActive: 0,
  clientsWaiting: 0,
  serversActive: 0,
  serversIdle: 0,
  maxWaitSeconds: 0,
  ...more,
});

describe('a PgBouncer in the status', () => {
  it('serves where no database is paused, and says where it sends who writes', () => {
    const databases = [database('app', 'a,b'), database('app_ro', 'c'), CONSOLE];
    const pools = [pool({ clientsActive: 2 }), pool({ user: 'v', clientsActive: 1 }), pool({ database: 'pgbouncer', clientsActive: 1 })];
    expect(poolerOf(BOUNCER, { version: 'PgBouncer 1.18.0', databases, pools })).toEqual({
      name: 'front',
      state: 'serving',
      detail: 'clients: 3 active',
      writers: [
        { database: 'app', host: 'a', port: 5432 },
        { database: 'app', host: 'b', port: 5432 },
      ],
    });
  });

  it('is paused where one of its databases is, and tells how long somebody has waited', () => {
    const pools = [pool({ clientsWaiting: 2, maxWaitSeconds: 7 }), pool({ user: 'v', clientsWaiting: 1, maxWaitSeconds: 3 })];
    const seen = poolerOf(BOUNCER, { version: 'PgBouncer 1.18.0', databases: [database('app', 'a', true), CONSOLE], pools });
    expect(seen).toMatchObject({ state: 'paused', detail: 'app paused, clients: 0 active, 3 waiting for up to 7 s' });
  });

  it.each([
    ['POSTGRES_UNAVAILABLE', 'unreachable'],
    ['TIMED_OUT', 'unreachable'],
    ['SECRET_UNAVAILABLE', 'unknown'],
  ] as const)('that cannot be asked (%s) is %s, and the others are seen all the same', async (code, state) => {
    const observe = (url: string) =>
      url === 'gone' ? Promise.reject(new SpokeError(code, 'why')) : Promise.resolve({ version: '', databases: [], pools: [] });
    const setup = { bouncers: { observe }, secrets: { bouncerAdminUrl: (name: string) => Promise.resolve(name) } };
    const ports = { setup } as unknown as Pick<ReadPorts, 'setup'>;
    const pgbouncer = [{ ...BOUNCER, name: 'gone' }, BOUNCER];
    const seen = await observePoolers({ pgbouncer }, ports, { signal: new AbortController().signal });
    expect(seen).toMatchObject([
      { name: 'gone', state, detail: 'why' },
      { name: 'front', state: 'serving' },
    ]);
  });
});
