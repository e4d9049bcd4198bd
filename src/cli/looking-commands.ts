import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { withGlobals } from './global-options.ts';

export function addWindow(program: Command, context: CommandContext): void {
  withGlobals(program.command('window'))
    .description('to which instants each repository can bring the cluster back, with every gap, its cause and its cost')
    .option('--repo <name>', 'only this repository')
    .option('--at <timestamp>', 'whether this instant can be recovered, from which backup, in how long')
    .addHelpText(
      'after',
      `
Exit code 0: no gap. 3: gaps, nothing that can be recovered, or a repository that cannot be read. With --at, 0 for yes and 13 for no, with what is near.

Examples:
  spoke-backup window
  spoke-backup window --at "2026-11-22 14:03:00+01"`,
    )
    .action(async (options) => (await import('./commands/window.ts')).windowCommand(options, context));
}

export function addStatus(program: Command, context: CommandContext): void {
  withGlobals(program.command('status'))
    .description('what can be recovered, who is primary, how far the standbys are behind, and what comes next')
    .option('--watch [seconds]', 'look again every so often, 2 seconds where not given, until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  spoke-backup status\n  spoke-backup status --watch 5')
    .action(async (options) => (await import('./commands/status.ts')).statusCommand(options, context));
}

export function addDoctor(program: Command, context: CommandContext): void {
  withGlobals(program.command('doctor'))
    .description('what is the matter with servers, replication, slots, archive and disks, why, and what to type; exit 3 with findings')
    .addHelpText('after', '\nExamples:\n  spoke-backup doctor\n  spoke-backup doctor --json')
    .action(async (options) => (await import('./commands/doctor.ts')).doctorCommand(options, context));
}
