import { SpokeError } from '../../errors.ts';
import type { ServerStart } from '../../ports/instance.ts';

const SETTING_NAME = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

/** The argument vector of `postgres`. What stands in it wins over every configuration file. Throws USAGE. */
export function serverArguments(start: ServerStart): readonly string[] {
  const settings: Record<string, string> = {
    ...start.settings,
    port: String(start.port),
    unix_socket_directories: quoteListElement(start.socketDirectory),
  };
  if (start.listenAddresses !== undefined) settings.listen_addresses = start.listenAddresses;
  if (start.configFile !== undefined) settings.config_file = start.configFile;
  if (start.hbaFile !== undefined) settings.hba_file = start.hbaFile;
  return ['-D', start.dataDirectory, ...Object.entries(settings).flatMap(([name, value]) => ['-c', assignment(name, value)])];
}

function assignment(name: string, value: string): string {
  if (!SETTING_NAME.test(name) || value.includes('\0'))
    throw new SpokeError('USAGE', `"${name}" cannot be given to postgres as a setting.`);
  return `${name}=${value}`;
}

/** A directory in a list of directories (SplitDirectoriesString in varlena.c): in double quotes where a character means something there. */
function quoteListElement(directory: string): string {
  return /[",]|^\s|\s$/.test(directory) ? `"${directory.replaceAll('"', '""')}"` : directory;
}
