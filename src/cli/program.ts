import type { CommanderError } from 'commander';
import { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { addFailover, addSwitchover } from './change-primary-commands.ts';
import { withChanging, withGlobals } from './global-options.ts';
import { HIDDEN_COMMANDS } from './hidden-commands.ts';
import { addRejoin } from './rejoin-command.ts';
import { addDoctor, addStatus, addWindow } from './looking-commands.ts';
import { addReseed } from './reseed-command.ts';
import { addSetupParts } from './setup-parts.ts';

const EXIT_CODES = `
Exit codes:
  0 done                    13 target cannot be reached     22 an external tool failed
  1 a bug                   14 verification failed          23 timed out
  2 usage                   20 PostgreSQL unavailable       30 plan is stale
  3 done with findings      21 object store unavailable     130, 143 cancelled
  10 config invalid, 11 locked by another run, 12 refused: a safety precondition`;

type AddCommand = (program: Command, context: CommandContext) => void;

const COMMANDS: ReadonlyMap<string, AddCommand> = new Map<string, AddCommand>([
  ['backup', addBackup],
  ['backups', addBackups],
  ['window', addWindow],
  ['verify', addVerify],
  ['expire', addExpire],
  ['pin', addPin],
  ['unpin', addUnpin],
  ['pins', addPins],
  ['restore', addRestore],
  ['reseed', addReseed],
  ['switchover', addSwitchover],
  ['failover', addFailover],
  ['rejoin', addRejoin],
  ['status', addStatus],
  ['doctor', addDoctor],
  ['runs', addRuns],
  ['schedule', addSchedule],
  ['notices', addNotices],
  ['daemon', addDaemon],
  ['setup', addSetup],
  ['config', addConfig],
  ['lab', addLab],
]);

/**
 * The command tree, or the one branch of it that the first word names: building all of it is a good part of a short command.
 * Each command loads its own code when it runs: help and completion load none of it.
 */
export function buildProgram(context: CommandContext, first?: string): Command {
  const program = new Command('spoke-backup')
    .description('Backup and point-in-time recovery of a PostgreSQL streaming-replication cluster')
    .version(context.version, '-V, --version')
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXIT_CODES);
  const only = HIDDEN_COMMANDS.get(first ?? '') ?? COMMANDS.get(first ?? '');
  for (const add of only === undefined ? COMMANDS.values() : [only]) add(program, context);
  if (only === undefined) addCompletion(program, context);
  for (const command of allCommands(program))
    command.exitOverride(rethrow).configureOutput({ writeOut: (text) => process.stdout.write(text) });
  return program;
}

function rethrow(error: CommanderError): never {
  throw error;
}

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

function addBackup(program: Command, context: CommandContext): void {
  withChanging(program.command('backup'))
    .description('take a backup into one repository or all, one after the other')
    .option('--type <type>', 'full, diff or incr', 'incr')
    .option('--repo <name>', 'a repository of the configuration, or all', 'all')
    .option('--expire', 'then let go of what is no longer needed, as `spoke-backup expire` does')
    .addHelpText('after', '\nExamples:\n  spoke-backup backup --type full\n  spoke-backup backup --type incr --repo s3')
    .action(async (options) => (await import('./commands/backup.ts')).backupCommand(options, context));
}

function addBackups(program: Command, context: CommandContext): void {
  withGlobals(program.command('backups'))
    .description('list the backups in every repository')
    .option('--repo <name>', 'only this repository')
    .action(async (options) => (await import('./commands/backups.ts')).backupsCommand(options, context));
}

function addVerify(program: Command, context: CommandContext): void {
  withChanging(program.command('verify'))
    .description('read every file of the repositories and compare its checksum')
    .option('--repo <name>', 'a repository of the configuration, or all', 'all')
    .addHelpText('after', '\nExample:\n  spoke-backup verify --repo s3')
    .action(async (options) => (await import('./commands/verify.ts')).verifyCommand(options, context));
}

function addExpire(program: Command, context: CommandContext): void {
  withChanging(program.command('expire'))
    .description('let go of backups and WAL that are no longer needed')
    .option('--repo <name>', 'a repository of the configuration, or all', 'all')
    .option('--explain', 'only show of every backup and all WAL whether it is kept, and why')
    .addHelpText(
      'after',
      `
Pins, newer backups that are bad or missing, a doubtful clock and a plan that takes more than retention.maxSharePercent keep
everything; --confirm <cluster> lifts the last two.

Examples:
  spoke-backup expire --explain
  spoke-backup expire --dry-run --repo s3
  spoke-backup expire`,
    )
    .action(async (options) => (await import('./commands/expire.ts')).expireCommand(options, context));
}

function addPin(program: Command, context: CommandContext): void {
  withChanging(program.command('pin <label>'))
    .description('keep a backup, with all that it needs, whatever its age')
    .requiredOption('--until <instant>', 'an instant with its zone, or forever')
    .requiredOption('--reason <text>', 'why, in one line')
    .option('--repo <name>', 'only in this repository', 'all')
    .addHelpText('after', '\nExample:\n  spoke-backup pin 20261122-020003F --until "2027-12-31 00:00:00Z" --reason "closing of the year"')
    .action(async (label, options) => (await import('./commands/pin.ts')).pinCommand(label, options, context));
}

function addUnpin(program: Command, context: CommandContext): void {
  withChanging(program.command('unpin <label>'))
    .description('take the pin of a backup away')
    .option('--repo <name>', 'only in this repository', 'all')
    .action(async (label, options) => (await import('./commands/pin.ts')).unpinCommand(label, options, context));
}

function addPins(program: Command, context: CommandContext): void {
  withGlobals(program.command('pins'))
    .description('list the pins, until when they hold, and how far the WAL behind each goes')
    .option('--repo <name>', 'only this repository', 'all')
    .action(async (options) => (await import('./commands/pin.ts')).pinsCommand(options, context));
}

function addRestore(program: Command, context: CommandContext): void {
  withChanging(program.command('restore'))
    .description('restore to an instant, an LSN, a transaction or a restore point, and prove it')
    .option('--to <instant>', 'an instant with its zone, latest, or immediate (the end of the backup)')
    .option('--to-lsn <lsn>', 'an LSN, for example 0/3000060')
    .option('--to-xid <xid>', 'a transaction id')
    .option('--to-name <name>', 'a restore point made by pg_create_restore_point()')
    .option('--exclusive', 'stop just before the target')
    .option('--timeline <timeline>', 'latest, current (the one of the backup) or a number', 'latest')
    .option('--repo <name>', 'only this repository')
    .option('--set <label>', 'only this backup')
    .option('--data-directory <path>', 'restore into this directory')
    .option('--in-place [node]', 'restore into the data directory of this node (the primary where it is not named)')
    .option('--port <port>', 'port of the restored server; a free one where it is not given')
    .option('--target-action <action>', 'promote, or pause (stay read-only at the target)', 'promote')
    .option('--tablespace-map <old=new>', 'where a tablespace goes; may be repeated', collect, [])
    .option('--no-start', 'do not start the restored server')
    .option('--discard-old', 'remove the replaced data directory at the end')
    .option('--only-node', 'leave the standbys of a node that is restored in place as they are')
    .option('--no-backup', 'take no backup of the new timeline after a cluster was restored in place')
    .addHelpText(
      'after',
      `
What was there is kept beside until --discard-old. Replacing a data directory needs --confirm <cluster>.
In place, the standbys of the node are stopped with it and seeded again, one after the other (docs/restore-cluster.md).

Examples:
  spoke-backup restore --to "2026-11-22 14:05:00+01" --data-directory /var/lib/postgresql/15/restored
  spoke-backup restore --to "2026-11-22T13:05:00Z" --in-place --confirm main
  spoke-backup restore --to latest --repo s3 --data-directory /srv/restored --dry-run`,
    )
    .action(async (options) => (await import('./commands/restore.ts')).restoreCommand(options, context));
}

function addRuns(program: Command, context: CommandContext): void {
  const runs = withGlobals(program.command('runs')).description('what was run, and how it ended').passThroughOptions();
  runs.option('--limit <count>', 'the newest so many', '100');
  runs.action(async (options) => (await import('./commands/runs.ts')).listRunsCommand(options, context));
  withGlobals(runs.command('show <run>'))
    .description('the journal of one run')
    .action(async (run, options) => (await import('./commands/runs.ts')).showRunCommand(run, options, context));
  withChanging(runs.command('resume [run]'))
    .description('go on with a run that was interrupted (the newest one where none is named)')
    .action(async (run, options) => (await import('./commands/runs.ts')).resumeRunCommand(run, options, context));
  withGlobals(runs.command('cancel <run>'))
    .description('end a run for good: stop its process, remove what it left beside, never resume it')
    .action(async (run, options) => (await import('./commands/runs.ts')).cancelRunCommand(run, options, context));
  withGlobals(runs.command('rebuild'))
    .description('set aside what cannot be read, and learn of the backups in the repositories')
    .action(async (options) => (await import('./commands/runs.ts')).rebuildRunsCommand(options, context));
}

function addSchedule(program: Command, context: CommandContext): void {
  const schedule = program.command('schedule').description('what is due when, and running it now');
  withGlobals(schedule.command('list'))
    .description('the schedules of a cluster with their next three times, local and UTC')
    .addHelpText('after', '\nExample:\n  spoke-backup schedule list --cluster main')
    .action(async (options) => (await import('./commands/schedule.ts')).listSchedulesCommand(options, context));
  schedule
    .command('next')
    .description('when a cron pattern is due, in UTC; reads no configuration')
    .requiredOption('--cron <pattern>', 'minute, hour, day of the month, month, day of the week; seconds may stand before them')
    .option('--timezone <zone>', 'the zone in which the pattern is meant', 'Etc/UTC')
    .option('--from <instant>', 'after which instant; now where it is not given')
    .option('--count <n>', 'how many', '5')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `
A fixed time of day is due once each day: at the first instant after, where the clock is put forward over it; the first time,
where it comes twice. A pattern of every hour follows the real hours.

Example:
  spoke-backup schedule next --cron "30 2 * * *" --timezone America/New_York --from 2026-03-07T00:00:00Z --count 3`,
    )
    .action(async (options) => (await import('./commands/schedule.ts')).nextOccurrencesCommand(options, context));
  withChanging(schedule.command('run <name>'))
    .description('do now what a schedule does, also where it is suspended')
    .addHelpText('after', '\nExamples:\n  spoke-backup schedule run daily-full\n  spoke-backup schedule run incremental --dry-run')
    .action(async (name, options) => (await import('./commands/schedule.ts')).runScheduleCommand(name, options, context));
}

function addNotices(program: Command, context: CommandContext): void {
  const notices = program.command('notices').description('who is told of failures and recoveries');
  withGlobals(notices.command('test'))
    .description('tell every channel that this is a test, and show which of them took it')
    .action(async (options) => (await import('./commands/notices.ts')).testNoticesCommand(options, context));
}

function addSetup(program: Command, context: CommandContext): void {
  const setup = program.command('setup').description('set up what backups need');
  withChanging(setup.command('archiving'))
    .description('set up the repositories and have PostgreSQL archive its WAL into them')
    .action(async (options) => (await import('./commands/setup-archiving.ts')).setupArchivingCommand(options, context));
  addSetupParts((words) => withChanging(setup.command(words)), context);
}

function addDaemon(program: Command, context: CommandContext): void {
  withGlobals(program.command('daemon'))
    .description('keep the schedules of all clusters: back up, expire and verify when due, and watch the archives')
    .addHelpText(
      'after',
      `
Runs in the foreground and logs JSON lines to stderr; a service manager starts it (docs/daemon.md has a unit for systemd).
SIGTERM and Ctrl-C: no new run; what is under way may end within daemon.gracePeriodSeconds; then it exits with 0.
SIGHUP: reads the configuration and the schedules again; where they are refused, the old ones stay in force.

Examples:
  spoke-backup daemon
  spoke-backup daemon --cluster main --verbose
  spoke-backup schedule list`,
    )
    .action(async (options) => (await import('./commands/daemon.ts')).daemonCommand(options, context));
}

function addConfig(program: Command, context: CommandContext): void {
  const config = program.command('config').description('look at the configuration');
  withGlobals(config.command('check'))
    .description('check the configuration file and what it refers to')
    .option(
      '--online',
      'also ask other hosts and services: whether hosts and buckets are reached, what is left over in them, whether they can hold leases',
    )
    .action(async (options) => (await import('./commands/config.ts')).checkConfigCommand(options, context));
  withGlobals(config.command('show'))
    .description('every value in force; secrets as references')
    .option('--origin', 'with where each value comes from')
    .action(async (options) => (await import('./commands/config.ts')).showConfigCommand(options, context));
  config
    .command('schema')
    .description('JSON Schema of the configuration file, for editors')
    .option('--json', 'as it is anyway')
    .option('--schedule', 'of a schedule file')
    .action(async (options) => (await import('./commands/config.ts')).schemaCommand(options, context));
  config
    .command('import')
    .description('print our configuration for one that exists')
    .requiredOption('--pgbackrest <file>', 'a pgbackrest.conf')
    .option('--stanza <name>', 'which stanza, where the file has several')
    .option('--json', 'one JSON document on stdout')
    .action(async (options) => (await import('./commands/config.ts')).importConfigCommand(options, context));
}

function addLab(program: Command, context: CommandContext): void {
  const lab = program.command('lab').description('a disposable cluster on this machine, to learn and to test');
  lab
    .command('up')
    .description('make a primary with standbys, a local repository and an S3 server, and start them')
    .option('--dir <path>', 'where; a new directory below /tmp where it is not given')
    .option('--nodes <count>', 'primary and standbys together, 1 to 5', '3')
    .option('--no-s3', 'without the S3 server')
    .option('--engine <name>', 'what keeps its repositories: pgbackrest, native or both', 'pgbackrest')
    .option('--json', 'one JSON document on stdout')
    .option('-q, --quiet', 'no progress')
    .action(async (options) => (await import('./commands/lab.ts')).labUpCommand(options, context));
  lab
    .command('down')
    .description('end everything that runs in a lab and remove it')
    .option('--dir <path>', 'which lab; the only one where it is not given')
    .option('--json', 'one JSON document on stdout')
    .option('-q, --quiet', 'no progress')
    .action(async (options) => (await import('./commands/lab.ts')).labDownCommand(options, context));
  lab
    .command('status')
    .description('what runs in a lab')
    .option('--dir <path>', 'which lab; the only one where it is not given')
    .option('--json', 'one JSON document on stdout')
    .action(async (options) => (await import('./commands/lab.ts')).labStatusCommand(options, context));
  lab
    .command('exec')
    .description("run a command with the lab's environment, for example: lab exec -- psql -c 'select 1'")
    .option('--dir <path>', 'which lab; the only one where it is not given')
    .argument('<command...>')
    .passThroughOptions()
    .action(async (command, options) => (await import('./commands/lab.ts')).labExecCommand(command, options, context));
}

function addCompletion(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .description('print a completion script')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', '\nExample:\n  spoke-backup completion bash > /etc/bash_completion.d/spoke-backup')
    .action(async (shell: string) => (await import('./commands/completion.ts')).completionCommand(shell, program, context));
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}
