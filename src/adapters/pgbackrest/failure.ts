/** What a pgBackRest command said when it failed, taken apart. */
export interface Failure {
  /** For example `restore`. */
  readonly command: string;
  /** pgBackRest's error code, which is also its exit code; undefined where it names an error that we do not know. */
  readonly code: number | undefined;
  /** In pgBackRest's words, on one line. */
  readonly message: string;
  /** True where it is a repository that did not answer. */
  readonly ofRepository: boolean;
}

/** Error names as `info` prints them, with the codes of pgBackRest's src/build/error/error.yaml, which calls them stable. */
const CODE_BY_NAME: Readonly<Record<string, number>> = {
  ChecksumError: 26,
  FileInvalidError: 28,
  FormatError: 29,
  ProtocolError: 39,
  FileOpenError: 41,
  FileReadError: 42,
  HostConnectError: 49,
  PathOpenError: 53,
  FileMissingError: 55,
  CryptoError: 95,
  ServiceError: 101,
  AccessError: 105,
};

const MOST_MESSAGE_LENGTH = 600;
/** What a file that is no text leaves in a message about it. */
const NOT_TEXT = /[\p{Cc}\ufffd]/gu;

/** Codes of "found nothing", which pgBackRest also says of a repository that did not answer. Why, it said in a warning before. */
const NOTHING_FOUND = [75, 103];

/** The failure that the last `ERROR: [NNN]: …` of an output tells of; its continuation lines are indented. */
export function failureOf(command: string, exitCode: number, output: string): Failure {
  const [, code, text] = [...output.matchAll(/ERROR: \[(\d{3})\]: (.*(?:\n[ \t]+.*)*)/g)].at(-1) ?? [];
  if (code === undefined || text === undefined)
    return { command, code: exitCode, message: lastLineOf(output) || `exit code ${exitCode}`, ofRepository: false };
  const warning = [...output.matchAll(/WARN: repo\d+: (\[\w+\] .*(?:\n[ \t]+.*)*)/g)].at(-1)?.[1];
  if (NOTHING_FOUND.includes(Number(code)) && warning !== undefined) return { ...failureOfStatus(warning), command };
  return { command, code: Number(code), message: briefly(text), ofRepository: false };
}

/** The failure that `info` tells of a repository, for example `[HostConnectError] unable to connect …`. */
export function failureOfStatus(message: string): Failure {
  const [, name, text] = /^\[(\w+)\] ([^]*)$/.exec(message) ?? [];
  return {
    command: 'info',
    code: name === undefined ? undefined : CODE_BY_NAME[name],
    message: briefly(text ?? message),
    ofRepository: true,
  };
}

/** On one line. Of a refused HTTP request only the status and what the service said, without the headers of both sides. */
function briefly(text: string): string {
  const oneLine = (words: string) =>
    words
      .replaceAll(/\s*\n\s*/g, ' ')
      .replaceAll(NOT_TEXT, '')
      .trim();
  const [beforeHeaders = '', ...headers] = text.split(/\*\*\* (?:Path\/Query|Request Headers) \*\*\*/);
  if (headers.length === 0) return oneLine(text).slice(0, MOST_MESSAGE_LENGTH);
  const response = headers.join('');
  const said = [/<Code>([^<]*)<\/Code>/.exec(response)?.[1], /<Message>([^<]*)<\/Message>/.exec(response)?.[1]];
  const reason = said.filter((part) => part !== undefined && part !== '').join(': ');
  const status = oneLine(beforeHeaders).replace(/:$/, '');
  return (reason === '' ? status : `${status}: ${reason}`).slice(0, MOST_MESSAGE_LENGTH);
}

function lastLineOf(output: string): string {
  return (output.trimEnd().split('\n').at(-1) ?? '').trim().slice(0, MOST_MESSAGE_LENGTH);
}
