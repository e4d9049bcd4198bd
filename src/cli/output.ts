import { styleText } from 'node:util';
import type { SpokeError } from '../errors.ts';

type Style = Parameters<typeof styleText>[0];

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** Where everything is printed: results on stdout, chatter on stderr; with --json stdout is one JSON document. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  exitCode = 0;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.verbose = options.verbose;
  }

  /** The result: as text for people, or as one JSON document with `schema: 1`. */
  result(document: Readonly<Record<string, unknown>>, text: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify({ schema: 1, ...document }, jsonValue, 2)}\n` : withNewline(text()));
  }

  /** What one wants to see while it works, and not in a pipe. */
  say(line: string): void {
    if (!this.quiet) process.stderr.write(withNewline(line));
  }

  warn(line: string): void {
    process.stderr.write(withNewline(`${this.style('yellow', 'warning:')} ${line}`));
  }

  error(error: SpokeError): void {
    if (this.json) {
      const { code, message, hint, details, exitCode } = error;
      process.stdout.write(`${JSON.stringify({ schema: 1, error: { code, exitCode, message, hint, details } }, jsonValue, 2)}\n`);
    }
    process.stderr.write(`${this.style('red', 'error:')} ${error.message}\n`);
    const tail = error.details['outputTail'] ?? error.details['serverLog'];
    if (typeof tail === 'string' && tail !== '') process.stderr.write(`${indent(tail)}\n`);
    if (error.code === 'INTERNAL' && error.stack !== undefined)
      process.stderr.write(`${indent((error.cause instanceof Error ? error.cause.stack : error.stack) ?? '')}\n`);
    process.stderr.write(`${this.style('cyan', 'next:')} ${error.hint}\n`);
  }

  /** Coloured where stderr is a terminal and NO_COLOR is not set. */
  style(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stderr });
  }

  /** Resolves when what was written has left the process. */
  async flush(): Promise<void> {
    await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))));
  }
}

/** LSNs, instants and sizes are bigints: strings in JSON, so that no reader loses digits. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value instanceof Map ? Object.fromEntries(value) : value;
}

function withNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
