import { type ErrorCode, SpokeError } from '../../errors.ts';

/** What a pgBackRest command left behind when it failed. */
export interface FailedCommand {
  readonly command: string;
  readonly exitCode: number;
  readonly output: string;
}

/** By what pgBackRest says; the first that fits. Its exit codes are coarse, and its asynchronous workers hide them. */
const BY_TEXT: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No space left on device|\[28\]/, 'DISK_FULL'],
  [/\b403\b|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|Forbidden/, 'REPOSITORY_DENIED'],
  [
    /unable to (?:connect|find host|lookup|get address|resolve)|HostConnectError|ServiceError|TLS error|certificate|timeout connecting|NoSuchBucket|request failed with \d{3}|unexpected eof|UNEXPECTED_EOF|Connection refused|unable to (?:read|write) (?:to )?(?:socket|TLS)|unable to (?:list|open|load info|get) .* (?:timeout|socket)/i,
    'REPOSITORY_UNAVAILABLE',
  ],
  [
    /checksum|invalid (?:block|file) |does not match (?:expected )?(?:size|checksum)|unexpected end of (?:file|stream)|unable to decompress|corrupt|LZ4F|zstd error|FormatError|CryptoError/i,
    'BACKUP_DAMAGED',
  ],
];

/** https://pgbackrest.org/command.html lists no codes; these are from its src/build/error/error.yaml, which calls them stable. */
const BY_EXIT_CODE: Readonly<Record<number, ErrorCode>> = {
  29: 'BACKUP_DAMAGED',
  38: 'REFUSED_SERVER_RUNNING',
  40: 'REFUSED_UNSAFE_DIRECTORY',
  45: 'REFUSED_WRONG_CLUSTER',
  49: 'REPOSITORY_UNAVAILABLE',
  50: 'LOCKED',
  51: 'REFUSED_WRONG_CLUSTER',
  55: 'BACKUP_DAMAGED',
  56: 'POSTGRES_UNAVAILABLE',
  58: 'REFUSED_WRONG_CLUSTER',
  75: 'NO_BACKUP',
  82: 'TIMED_OUT',
  95: 'BACKUP_DAMAGED',
};

/** Translates a failure once, at the edge; the last lines of output stay with the error. */
export function translateFailure({ command, exitCode, output }: FailedCommand): SpokeError {
  const said = errorMessage(output);
  const code = BY_TEXT.find(([pattern]) => pattern.test(said))?.[1] ?? BY_EXIT_CODE[exitCode] ?? 'TOOL_FAILED';
  return new SpokeError(code, `pgbackrest ${command} failed: ${said === '' ? `exit code ${exitCode}` : said}`, {
    details: { command, exitCode, outputTail: tailOf(output) },
    ...(code === 'TIMED_OUT'
      ? {
          hint: 'The WAL segment did not reach the repository. See the server log for what archive_command says, then: spoke-backup setup archiving',
        }
      : {}),
  });
}

/** A repository's own trouble, as `info` reports it with status 99. */
export function repositoryTrouble(message: string): SpokeError {
  const code = BY_TEXT.find(([pattern]) => pattern.test(message))?.[1] ?? 'REPOSITORY_UNAVAILABLE';
  return new SpokeError(code, message.replaceAll(/\s+/g, ' ').trim());
}

/** The text of the last `ERROR: [NNN]: …`, with its continuation lines on one. */
export function errorMessage(output: string): string {
  const start = output.lastIndexOf('ERROR: [');
  if (start === -1) return '';
  const text = output.slice(start).split(/\n(?=\d{4}-\d\d-\d\d |P\d\d)/)[0] ?? '';
  return text
    .replace(/^ERROR: \[\d+\]: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
    .slice(0, 1000);
}

function tailOf(output: string): string {
  return output.trimEnd().split('\n').slice(-12).join('\n');
}
