import type { SshConfig } from '../../config/model.ts';

/** Until the host answers at all. */
const CONNECT_TIMEOUT_SECONDS = 10;
/** After three times as long without a sign of the host the connection is given up. */
const ALIVE_EVERY_SECONDS = 10;

/**
 * OpenSSH's own client, so that its configuration, agents and jump hosts count: it asks nothing, trusts no unknown key, adds none, and
 * forwards nothing. `words`: what is run there. Pure.
 */
export function sshArguments(ssh: SshConfig, words: readonly string[]): readonly string[] {
  return [
    '-T',
    '-p',
    String(ssh.port),
    ...(ssh.user === undefined ? [] : ['-l', ssh.user]),
    ...options({
      BatchMode: 'yes',
      StrictHostKeyChecking: 'yes',
      UpdateHostKeys: 'no',
      ConnectTimeout: String(CONNECT_TIMEOUT_SECONDS),
      ConnectionAttempts: '1',
      ServerAliveInterval: String(ALIVE_EVERY_SECONDS),
      ServerAliveCountMax: '3',
      ClearAllForwardings: 'yes',
      ForwardAgent: 'no',
      ForwardX11: 'no',
      PermitLocalCommand: 'no',
      ...(ssh.identityFile === undefined ? {} : { IdentityFile: quotePath(ssh.identityFile), IdentitiesOnly: 'yes' }),
      ...(ssh.knownHostsFile === undefined ? {} : { UserKnownHostsFile: quotePath(ssh.knownHostsFile), GlobalKnownHostsFile: '/dev/null' }),
    }),
    '--',
    ssh.host,
    shellLine(words),
  ];
}

function options(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** ssh_config(5): a value may have spaces where it is quoted; `%` begins a token, and `${` a variable of the environment. */
function quotePath(path: string): string {
  return `"${path.replaceAll('%', '%%').replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** The one line that sshd hands to the user's shell, in which every word stays what it is. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}
