import { describe, expect, it } from 'vitest';
import { parseLockFile, parseSharedMemory } from '../../../src/adapters/instance/lock-file.ts';

/** The lines in the order of PostgreSQL's src/include/utils/pidfile.h. */
const whole = ['4711', '/data/pg', '1795384791', '5433', '/run/postgresql', '*', '  2156185         7', 'ready   ', ''].join('\n');

describe('postmaster.pid', () => {
  it('tells pid, data directory, port, socket directory, shared memory and status', () => {
    expect(parseLockFile(whole)).toEqual({
      pid: 4711,
      dataDirectory: '/data/pg',
      port: 5433,
      socketDirectory: '/run/postgresql',
      sharedMemory: { key: 2156185n, id: 7n },
      status: 'ready',
    });
  });

  it('tells what is there while the server is still writing it', () => {
    expect(parseLockFile('4711\n/data/pg\n1795384791\n5433\n')).toEqual({ pid: 4711, dataDirectory: '/data/pg', port: 5433 });
  });

  it('of a stand-alone backend holds the negated pid', () => {
    expect(parseLockFile('-4711\n/data/pg\n')?.pid).toBe(4711);
  });

  it('of a server without a Unix socket has an empty line for it', () => {
    expect(parseLockFile(whole.replace('/run/postgresql', ''))?.socketDirectory).toBeUndefined();
  });

  it.each(['', '\n\n', 'garbage\n/data/pg\n', '0\n/data/pg\n', '4711\n'])('is nothing where it holds %j', (text) => {
    expect(parseLockFile(text)).toBeUndefined();
  });
});

describe('/proc/sysvipc/shm', () => {
  it('prints keys signed; they are compared unsigned', () => {
    const text = [
      '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap',
      '-1293749506          3   600                    56  4711  4712      6   101   104   101   104 1795384791 1795384791 1795384791                  4096                     0',
      '   2156185          7   600                    56   815   816      0   101   104   101   104 1795384791 1795384791 1795384791                  4096                     0',
      '',
    ].join('\n');
    expect(parseSharedMemory(text)).toEqual([
      { key: 2n ** 32n - 1293749506n, id: 3n, creatorPid: 4711, attached: 6 },
      { key: 2156185n, id: 7n, creatorPid: 815, attached: 0 },
    ]);
  });

  it('is empty where the kernel gives nothing', () => {
    expect(parseSharedMemory('')).toEqual([]);
  });
});
