import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';

/** Nothing for people: neither help nor completion knows them. */
export const HIDDEN_COMMANDS: ReadonlyMap<string, (program: Command, context: CommandContext) => void> = new Map([
  ['agent', addAgent],
  ['wal-get', addWalGet],
]);

/** What another spoke-backup starts by ssh. */
function addAgent(program: Command, context: CommandContext): void {
  program
    .command('agent')
    .option('--config <file>')
    .option('--state-directory <path>')
    .requiredOption('--cluster <name>')
    .action(async (options) => (await import('./commands/agent.ts')).agentCommand(options, context));
}

/** What bin/spoke-wal-get starts for a repository that is not on this machine. */
function addWalGet(program: Command, context: CommandContext): void {
  program
    .command('wal-get <access> <repository> <name> <path>')
    .action(async (access, repository, name, path) =>
      (await import('./commands/wal-get.ts')).walGetCommand({ access, repository, name, path }, context),
    );
}
