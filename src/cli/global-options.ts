import type { Command } from 'commander';

/** Options of every command that works on a cluster. */
export function withGlobals(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (SPOKE_BACKUP_CONFIG, /etc/spoke-backup/config.yaml)')
    .option('--cluster <name>', 'which cluster of the configuration; needless where there is only one')
    .option('--state-directory <path>', 'in place of the stateDirectory of the configuration')
    .option('--timezone <zone>', 'zone of instants typed without one, and of local times shown')
    .option('--json', 'one JSON document on stdout, everything else on stderr')
    .option('-q, --quiet', 'no progress')
    .option('-v, --verbose', 'more detail');
}

/** And of those that change something. */
export function withChanging(command: Command): Command {
  return withGlobals(command)
    .option('--dry-run', 'show the plan with its commands and write nothing at all')
    .option('--confirm <cluster>', 'confirm by typing the name of the cluster')
    .option('--wait [duration]', 'queue behind whoever is in the way, for 90s, 30m or 2h, or as long as it takes; else exit 11');
}
