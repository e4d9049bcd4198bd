import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { withChanging } from './global-options.ts';

export function addSwitchover(program: Command, context: CommandContext): void {
  withChanging(program.command('switchover'))
    .description('hand over to a standby without losing anything; the old primary becomes a standby')
    .requiredOption('--to <node>', 'the standby that becomes the primary')
    .option('--no-backup', 'take no backup of the new timeline afterwards')
    .addHelpText(
      'after',
      `
Pauses PgBouncer, stops the old primary cleanly and promotes the standby once that has replayed everything. What fails before the
promotion brings the old primary back. Needs --confirm <cluster>.

Examples:
  spoke-backup switchover --to replica-1 --dry-run
  spoke-backup switchover --to replica-1 --confirm main`,
    )
    .action(async (options) => (await import('./commands/change-primary.ts')).switchoverCommand(options, context));
}

export function addFailover(program: Command, context: CommandContext): void {
  withChanging(program.command('failover'))
    .description('promote the standby that has most, where the primary is gone; says what is lost, and fences the old one first')
    .option('--to <node>', 'this standby, unless it has more than failover.maxLagMib less than the best')
    .option('--i-fenced-it <node>', 'you have made sure that this node accepts no writes; may be repeated', collect, [])
    .option('--no-backup', 'take no backup of the new timeline afterwards')
    .addHelpText(
      'after',
      `
Every node that does not answer as a standby is fenced first: stopped on its host, else by failover.fenceCommand, else by your word
(--i-fenced-it). Needs --confirm <cluster>.

Examples:
  spoke-backup failover --dry-run
  spoke-backup failover --confirm main
  spoke-backup failover --to replica-2 --i-fenced-it primary-1 --confirm main`,
    )
    .action(async (options) => (await import('./commands/change-primary.ts')).failoverCommand(options, context));
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
