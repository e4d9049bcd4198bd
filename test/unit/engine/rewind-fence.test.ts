import { describe, expect, it } from 'vitest';
import { closeForRewind, openAfterRewind } from '../../../src/engine/handlers/rewind-fence.ts';
import { closedVersionText } from '../../../src/domain/postgres/version-file.ts';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';

const OWNER = { uid: 1, gid: 1, name: 'postgres' };
const DATA = '/data';
const [AUTO, SIGNAL] = [`${DATA}/postgresql.auto.conf`, `${DATA}/standby.signal`];

/** Files by their path, and what was done to them in order. */
function world(files: Map<string, string>) {
  const done: string[] = [];
  const ports = {
    instance: { readFileTail: (path: string) => Promise.resolve(files.get(path) ?? '') },
    instanceControl: {
      writeFileDurably: (path: string, text: string) => {
        files.set(path, text);
        done.push(`write ${path}`);
        return Promise.resolve();
      },
      removeFileDurably: (path: string) => {
        files.delete(path);
        done.push(`remove ${path}`);
        return Promise.resolve();
      },
    },
  } as unknown as HandlerPorts;
  return { ports, done };
}

describe('a data directory that is rewound', () => {
  const place = { dataDirectory: DATA, owner: OWNER };

  it('is closed to every postmaster before standby.signal goes', async () => {
    const files = new Map([
      [AUTO, "port = '1'"],
      [SIGNAL, ''],
    ]);
    const { ports, done } = world(files);
    await closeForRewind(ports, place);
    expect(done).toEqual([`write ${AUTO}`, `remove ${SIGNAL}`]);
    expect(files.get(AUTO)).toMatch(/^port = '1'\nsuperuser_reserved_connections = '262143'.*\n$/);
  });

  it('is opened by its version last, where pg_rewind has begun', async () => {
    const version = `${DATA}/PG_VERSION`;
    const files = new Map([[version, closedVersionText(15)]]);
    const { ports, done } = world(files);
    await openAfterRewind(ports, place);
    expect(done).toEqual([`write ${SIGNAL}`, `write ${version}`]);
    expect(files.get(version)).toBe('15\n');
  });

  it('has standby.signal again before it is opened, and its settings as they were', async () => {
    const files = new Map([[AUTO, "port = '1'\n"]]);
    const { ports, done } = world(files);
    await closeForRewind(ports, place);
    await closeForRewind(ports, place);
    done.length = 0;
    await openAfterRewind(ports, place);
    expect(done).toEqual([`write ${SIGNAL}`, `write ${AUTO}`]);
    expect(files.get(AUTO)).toBe("port = '1'\n");
  });
});
