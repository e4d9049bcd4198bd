/** How a standby connects to its primary; its password is in the passfile and nowhere else. */
export interface PrimaryConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly passfile: string;
  readonly sslMode: string;
  /** The standby's name, as the primary shows it. */
  readonly applicationName: string;
}

/** primary_conninfo. */
export function primaryConninfo({ host, port, user, passfile, sslMode, applicationName }: PrimaryConnection): string {
  const parts = { host, port: String(port), user, passfile, sslmode: sslMode, application_name: applicationName };
  return Object.entries(parts)
    .map(([name, value]) => `${name}=${conninfoValue(value)}`)
    .join(' ');
}

/** libpq: in single quotes, with quotes and backslashes escaped by a backslash (documentation, "Connection Strings"). */
function conninfoValue(value: string): string {
  return /^[A-Za-z0-9_./:-]+$/.test(value) ? value : `'${value.replaceAll(/['\\]/g, (character) => `\\${character}`)}'`;
}

/** The password file of libpq, a line a server; `:` and `\` are escaped (documentation, "The Password File"). Holds the password. */
export function passfileText(servers: readonly { readonly host: string; readonly port: number }[], user: string, password: string): string {
  const escaped = (text: string) => text.replaceAll(/[:\\]/g, (character) => `\\${character}`);
  return servers.map(({ host, port }) => `${escaped(host)}:${port}:*:${escaped(user)}:${escaped(password)}\n`).join('');
}
