import { describe, expect, it } from 'vitest';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import { startCommand, startServed, stopCommand, stopServed } from '../../../src/engine/handlers/server-service.ts';
import { FakePatroni, fakePatroniPorts } from '../../fakes/patroni.ts';

const OWNER = { uid: 26, gid: 26, name: 'postgres' };
const CONTEXT = { signal: new AbortController().signal };
const SERVER = { dataDirectory: '/srv/a', postgresMajor: 15, service: { manager: 'patroni', member: 'a' } } as const;

/** What was done by which way. */
function place(options: { readonly hasPatroni: boolean } = { hasPatroni: true }) {
  const done: string[] = [];
  const fake = new FakePatroni('main', ['a', 'b']);
  const patroni = fakePatroniPorts(fake, undefined, async (what, act) => {
    done.push(`Patroni: ${what}`);
    act();
  });
  const ports = {
    instance: { findInstallation: async () => ({ binDirectory: '/bin' }) },
    instanceControl: {
      stopServer: async ({ dataDirectory }: { readonly dataDirectory: string }) => void done.push(`stop ${dataDirectory}`),
      startServer: async ({ dataDirectory }: { readonly dataDirectory: string }) => void done.push(`start ${dataDirectory}`),
    },
    services: { stopService: async () => void done.push('stop unit'), startService: async () => void done.push('start unit') },
    ...(options.hasPatroni ? { patroni, patroniControl: patroni } : {}),
  } as unknown as HandlerPorts;
  const stop = (server: Parameters<typeof stopServed>[1]) => stopServed(ports, server, { owner: OWNER, mode: 'fast' }, CONTEXT);
  const start = (server: Parameters<typeof startServed>[1]) =>
    startServed(ports, server, { owner: OWNER, port: 5432, socketDirectory: '/tmp' }, CONTEXT);
  return { fake, done, stop, start };
}

describe('a server that Patroni looks after', () => {
  it('is not stopped behind its back', async () => {
    const { stop, done } = place();
    await expect(stop(SERVER)).rejects.toMatchObject({ code: 'REFUSED_PRECONDITION', hint: expect.stringContaining('patronictl pause') });
    expect(done).toEqual([]);
  });

  it('is stopped by pg_ctl while Patroni is paused, since it has no command for that', async () => {
    const { stop, done, fake } = place();
    fake.paused = true;
    await stop(SERVER);
    expect(done).toEqual(['stop /srv/a']);
    expect(stopCommand(SERVER, 'fast')).toEqual(['pg_ctl', 'stop', '-D', '/srv/a', '-m', 'fast']);
  });

  it('is started by Patroni', async () => {
    const { start, done } = place();
    await start(SERVER);
    expect(done).toEqual(['Patroni: restart a']);
    expect(startCommand(SERVER, { port: 5432, socketDirectory: '/tmp' })).toEqual(['(patroni a)', 'POST', '/restart']);
  });

  it('is left alone where the configuration of its host knows no Patroni', async () => {
    const { stop, start, done } = place({ hasPatroni: false });
    await expect(stop(SERVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(start(SERVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(done).toEqual([]);
  });
});

describe('a server that something else looks after', () => {
  it.each([
    { service: { manager: 'pg_ctl' } as const, expected: ['stop /srv/a', 'start /srv/a'] },
    { service: { manager: 'systemd', unit: 'postgresql@15-main' } as const, expected: ['stop unit', 'start unit'] },
  ])('is stopped and started by $service.manager', async ({ service, expected }) => {
    const { stop, start, done } = place();
    await stop({ ...SERVER, service });
    await start({ ...SERVER, service });
    expect(done).toEqual(expected);
  });
});
