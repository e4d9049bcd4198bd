import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { withChanging } from './global-options.ts';

export function addReseed(program: Command, context: CommandContext): void {
  withChanging(program.command('reseed <node>'))
    .description('bring a standby back by the cheapest safe way, and keep its old data until the new streams')
    .option('--method <method>', 'auto, rewind, delta, backup or basebackup', 'auto')
    .option('--from <source>', 'local, s3, primary, standby, or the name of a repository or node')
    .option('--keep-old', 'leave the old data directory beside for good, where the method does not work on it')
    .addHelpText(
      'after',
      `
Methods:
  rewind      pg_rewind over the old data: diverged pages and WAL from the primary
  delta       a backup restored over the old data: files that differ, from a repository
  backup      a backup restored beside
  basebackup  pg_basebackup from the primary or from another standby

Examples:
  spoke-backup reseed replica-2 --dry-run
  spoke-backup reseed replica-2 --method basebackup --from replica-1`,
    )
    .action(async (node, options) => (await import('./commands/reseed.ts')).reseedCommand(node, options, context));
}
