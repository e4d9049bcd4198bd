import { describe, expect, it } from 'vitest';
import { receiverConnection } from '../../../src/adapters/wal-stream/connection.ts';

const of = (url: string) => receiverConnection({ kind: 'url', url }, 'spoke-backup main');

describe('how a receiver connects', () => {
  it.each([
    ['postgresql://backup:s%3Aecr%5Cet@db.example.org:5433/postgres', 'postgresql://backup@db.example.org:5433/postgres?'],
    [
      'postgresql://backup@db.example.org/postgres?password=s%3Aecr%5Cet&sslmode=require',
      'postgresql://backup@db.example.org/postgres?sslmode=require&',
    ],
    ['postgresql://backup:s%3Aecr%5Cet@/postgres?host=%2Frun%2Fpg', 'postgresql://backup@/postgres?host=%2Frun%2Fpg&'],
  ])('puts the password of %s into its file and nowhere else', (url, shown) => {
    const { dbname, passwordFileText } = of(url);
    expect(dbname.startsWith(shown)).toBe(true);
    expect(dbname).not.toMatch(/s%3Aecr|s:ecr/);
    // PostgreSQL, "The Password File": colons and backslashes are escaped.
    expect(passwordFileText).toBe('*:*:*:*:s\\:ecr\\\\et\n');
  });

  it('leaves the file empty where there is no password, and never hands on that of a key', () => {
    expect(of('postgresql://backup@h/postgres?sslpassword=x').dbname).not.toContain('sslpassword');
    expect(of('postgresql://backup@h/postgres').passwordFileText).toBe('');
  });

  it('quotes what a socket needs', () => {
    const { dbname } = receiverConnection({ kind: 'socket', socketDirectory: "/tmp/o'k", port: 5432, user: 'a b' }, 'x');
    expect(dbname).toMatch(/^host='\/tmp\/o\\'k' port='5432' user='a b' keepalives_idle='10'/);
  });
});
