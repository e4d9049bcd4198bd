import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { withChanging } from './global-options.ts';

export function addRejoin(program: Command, context: CommandContext): void {
  withChanging(program.command('rejoin <node>'))
    .description('have an old primary come back as a standby: by pg_rewind where possible, else seeded anew')
    .option('--keep-old', 'leave the old data directory beside for good, where pg_rewind is not possible')
    .addHelpText(
      'after',
      `
For a node that was fenced by a failover, or was left behind otherwise. What it committed and the present primary has not is lost with it.
A second primary that runs is refused: stop it first. One that streams already is left alone. Needs --confirm <cluster>.

Examples:
  spoke-backup rejoin primary-1 --dry-run
  spoke-backup rejoin primary-1 --confirm main`,
    )
    .action(async (node, options) => (await import('./commands/rejoin.ts')).rejoinCommand(node, options, context));
}
