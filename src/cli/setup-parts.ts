import type { Command } from 'commander';
import type { CommandContext, GlobalOptions } from './command-context.ts';

const PARTS = [
  ['primary', 'the settings, roles, rules and slots of the primary, and archiving'],
  ['replica <node>', 'the settings, the passfile and the slot of a standby that runs'],
  ['pgbouncer', 'configuration and user list of each PgBouncer'],
  ['endpoints', 'the file that tells applications where the servers are'],
] as const;

/** What there is to set up beside the archive; `command` makes a command of its words. What is Patroni's is only printed. */
export function addSetupParts(command: (words: string) => Command, context: CommandContext): void {
  for (const [words, description] of PARTS)
    command(words)
      .description(`${description}: shows the plan; with --apply does it`)
      .option('--apply', 'do what the plan says')
      .action(async (...given: readonly unknown[]) => (await import('./commands/setup.ts')).setupCommand(words, given, context));
  command('patroni')
    .description('prints what Patroni has to be told: archiving, recovery, and replicas made of backups; changes nothing')
    .action(async (options: GlobalOptions) => (await import('./commands/setup-patroni.ts')).setupPatroniCommand(options, context));
}
