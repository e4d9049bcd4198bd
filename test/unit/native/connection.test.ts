import { describe, expect, it } from 'vitest';
import { libpqConnectionOf, passwordFileText } from '../../../src/adapters/native/backup/connection.ts';

const parametersOf = (uri: string) => Object.fromEntries(new URL(uri).searchParams);

describe('the address of a server for libpq', () => {
  it('holds no password, wherever the URL had it', () => {
    for (const url of [
      'postgresql://u:ca%40nary%2F@h:5433/app?sslmode=require',
      'postgresql://u@h:5433/app?sslmode=require&password=ca%40nary%2F',
    ]) {
      const { uri, password } = libpqConnectionOf({ kind: 'url', url });
      expect(password).toBe('ca@nary/');
      expect(uri).not.toMatch(/nary/);
      expect(uri).toMatch(/^postgresql:\/\/u@h:5433\/app\?/);
      expect(parametersOf(uri)).toMatchObject({ sslmode: 'require', application_name: 'spoke-backup' });
    }
  });

  it('names a socket by its directory, whatever that is called', () => {
    const { uri, password } = libpqConnectionOf({ kind: 'socket', socketDirectory: '/tmp/a b+c', port: 5433, user: 'postgres' });
    expect(password).toBeUndefined();
    expect(uri).not.toContain('+');
    expect(parametersOf(uri)).toMatchObject({ host: '/tmp/a b+c', port: '5433', user: 'postgres' });
  });

  it('hands on only what libpq knows', () => {
    const { uri } = libpqConnectionOf({ kind: 'url', url: 'postgresql://u@h/app?whatever=1&sslrootcert=%2Fca.pem&passfile=%2Fx' });
    expect(Object.keys(parametersOf(uri)).sort()).toEqual(['application_name', 'connect_timeout', 'sslrootcert']);
  });

  it('says nothing of a URL that is none', () => {
    expect(() => libpqConnectionOf({ kind: 'url', url: 'postgresql://u:canary@h:x/' })).toThrow(/^A connection URL is not a URL\.$/);
  });

  it('escapes what means something in a password file', () => {
    expect(passwordFileText('a:b\\c')).toBe('*:*:*:*:a\\:b\\\\c\n');
  });
});
