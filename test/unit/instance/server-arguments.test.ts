import { describe, expect, it } from 'vitest';
import { serverArguments } from '../../../src/adapters/instance/server-arguments.ts';

const start = {
  dataDirectory: '/data/pg',
  binDirectory: '/usr/lib/postgresql/15/bin',
  owner: { uid: 101, gid: 104, name: 'postgres' },
  port: 5433,
  socketDirectory: '/tmp/s',
  listenAddresses: '',
  logFile: '/tmp/log',
  settings: {},
};

/** `-c name=value` as a record. */
function settingsIn(argv: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    argv.flatMap((argument, index) => {
      if (argv[index - 1] !== '-c') return [];
      const equals = argument.indexOf('=');
      return [[argument.slice(0, equals), argument.slice(equals + 1)]];
    }),
  );
}

describe('the argument vector of postgres', () => {
  it('names the data directory, port, addresses and socket directory', () => {
    const argv = serverArguments(start);
    expect(argv.slice(0, 2)).toEqual(['-D', '/data/pg']);
    expect(settingsIn(argv)).toEqual({ port: '5433', listen_addresses: '', unix_socket_directories: '/tmp/s' });
  });

  it('hands values on as they are: no shell reads them', () => {
    const archive_command = `test ! -f "/x y/%f" && cp %p '/x y/%f'; $(id) \\`;
    expect(settingsIn(serverArguments({ ...start, settings: { archive_command } }))).toMatchObject({ archive_command });
  });

  it('leaves the addresses to the configuration file where none are given', () => {
    const withoutAddresses = Object.fromEntries(Object.entries(start).filter(([name]) => name !== 'listenAddresses')) as typeof start;
    expect(settingsIn(serverArguments(withoutAddresses))).not.toHaveProperty('listen_addresses');
  });

  it('uses other configuration files where they are named', () => {
    const settings = settingsIn(serverArguments({ ...start, configFile: '/c/p.conf', hbaFile: '/c/hba.conf' }));
    expect(settings).toMatchObject({ config_file: '/c/p.conf', hba_file: '/c/hba.conf' });
  });

  it('does not let a setting override where the server is isolated', () => {
    expect(settingsIn(serverArguments({ ...start, settings: { port: '5432' } })).port).toBe('5433');
  });

  it('quotes a socket directory with a comma: the setting is a list', () => {
    const { unix_socket_directories } = settingsIn(serverArguments({ ...start, socketDirectory: '/a,"b' }));
    expect(unix_socket_directories).toBe('"/a,""b"');
  });

  it.each(['', 'a=b', 'a b', '-c', 'a\0'])('refuses the setting name %j', (name) => {
    expect(() => serverArguments({ ...start, settings: { [name]: 'x' } })).toThrow('cannot be given to postgres');
  });
});
