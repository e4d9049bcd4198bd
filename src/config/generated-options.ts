/** pgBackRest options that this program writes itself, by their name without the number of a repository or node. */
const GENERATED: ReadonlySet<string> = new Set([
  ...['archive-async', 'archive-mode', 'cmd', 'compress', 'compress-level', 'compress-type', 'config'],
  ...['config-include-path', 'config-path', 'delta', 'exec-id', 'expire-auto', 'lock-path', 'log-level-console'],
  ...['log-level-file', 'log-level-stderr', 'log-path', 'log-subprocess', 'log-timestamp', 'online', 'pg', 'pg-path'],
  ...['pg-port', 'pg-socket-path', 'process-max', 'recovery-option', 'repo', 'repo-cipher-pass'],
  ...['repo-cipher-type', 'repo-path', 'repo-retention-archive', 'repo-retention-archive-type', 'repo-retention-full'],
  ...['repo-retention-full-type', 'repo-s3-bucket', 'repo-s3-endpoint', 'repo-s3-key', 'repo-s3-key-secret'],
  ...['repo-s3-key-type', 'repo-s3-kms-key-id', 'repo-s3-region', 'repo-s3-token', 'repo-s3-uri-style'],
  ...['repo-storage-ca-file', 'repo-storage-port', 'repo-storage-verify-tls', 'repo-type', 'resume', 'set', 'spool-path'],
  ...['stanza', 'start-fast', 'stop-auto', 'target', 'target-action', 'target-exclusive', 'target-timeline', 'type'],
]);

/** Options whose value is a secret: a configuration file is no place for it. */
const SECRET_OPTIONS: ReadonlySet<string> = new Set([
  ...['repo-azure-key', 'repo-cipher-pass', 'repo-gcs-key', 'repo-s3-key', 'repo-s3-key-secret', 'repo-s3-sse-customer-key'],
  ...['repo-s3-token', 'repo-sftp-private-key-passphrase'],
]);

/** `repo1-path` and `repo-path` are one option; so are `pg2-port` and `pg-port`. */
export function optionFamily(name: string): string {
  return name.replace(/^(repo|pg)\d+(?=-|$)/, '$1');
}

/** Why an option may not be given through extraOptions; undefined where it may. */
export function refusalOfExtraOption(name: string): string | undefined {
  const family = optionFamily(name);
  if (SECRET_OPTIONS.has(family)) return 'its value is a secret, which may not stand in this file';
  if (GENERATED.has(family)) return 'it is written by spoke-backup from the other keys';
  if (/^pg-host/.test(family) || /^repo-host/.test(family)) return 'hosts other than this machine are not supported';
  return undefined;
}

export function isSecretOption(name: string): boolean {
  return SECRET_OPTIONS.has(optionFamily(name));
}
