import type { Command } from 'commander';
import { SpokeError } from '../../errors.ts';
import type { CommandContext } from '../command-context.ts';

/** `spoke-backup completion <shell>`: made of the command tree, so it knows every command and option there is. */
export async function completionCommand(shell: string, program: Command, _context: CommandContext): Promise<void> {
  const paths = commandPaths(program, []);
  process.stdout.write(scriptFor(shell, paths));
}

interface CommandWords {
  /** For example `runs show`; empty for the program itself. */
  readonly path: string;
  readonly words: readonly string[];
}

function commandPaths(command: Command, path: readonly string[]): readonly CommandWords[] {
  const words = [...command.commands.map((child) => child.name()), ...command.options.flatMap((option) => option.long ?? [])];
  return [{ path: path.join(' '), words }, ...command.commands.flatMap((child) => commandPaths(child, [...path, child.name()]))];
}

function scriptFor(shell: string, paths: readonly CommandWords[]): string {
  switch (shell) {
    case 'bash':
      return bashScript(paths);
    case 'zsh':
      return `#compdef spoke-backup\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(paths)}`;
    case 'fish':
      return fishScript(paths);
    default:
      throw new SpokeError('USAGE', `completion ${shell}: there are bash, zsh and fish`);
  }
}

function bashScript(paths: readonly CommandWords[]): string {
  const cases = paths.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`);
  return `_spoke_backup() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _spoke_backup spoke-backup
`;
}

function fishScript(paths: readonly CommandWords[]): string {
  const lines = paths.map(
    ({ path, words }) =>
      `complete -c spoke-backup -f -n 'test (string join " " (string match -v -- "-*" (commandline -opc)[2..])) = "${path}"' -a '${words.join(' ')}'`,
  );
  return `${lines.join('\n')}\n`;
}
