/** A server that a standby is seeded from; `conninfo` holds the name of a passfile and no password. */
export interface RewindCommand {
  readonly dataDirectory: string;
  readonly conninfo: string;
  /** Where postgresql.conf is, where it is not in the data directory. */
  readonly configFile?: string;
  /** Whether WAL that is no longer in the target's pg_wal may be fetched by its restore_command. */
  readonly restoresWal: boolean;
}

export interface CopyCommand {
  /** Empty. */
  readonly dataDirectory: string;
  readonly conninfo: string;
  /** The slot of the standby on that server, which then keeps the WAL from the copy on; absent where it is on another server. */
  readonly slot?: string;
}

/** Of pg_rewind. */
export function rewindArguments({ dataDirectory, conninfo, configFile, restoresWal }: RewindCommand): readonly string[] {
  return [
    `--target-pgdata=${dataDirectory}`,
    `--source-server=${conninfo}`,
    ...(configFile === undefined ? [] : [`--config-file=${configFile}`]),
    ...(restoresWal ? ['--restore-target-wal'] : []),
    '--progress',
  ];
}

/** Of pg_basebackup: files as they are, WAL by a second connection, a checkpoint at once, and no question for a password. */
export function copyArguments({ dataDirectory, conninfo, slot }: CopyCommand): readonly string[] {
  return [
    `--pgdata=${dataDirectory}`,
    `--dbname=${conninfo}`,
    '--format=plain',
    '--wal-method=stream',
    '--checkpoint=fast',
    '--no-password',
    ...(slot === undefined ? [] : [`--slot=${slot}`]),
  ];
}
