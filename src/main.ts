import { writeSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../package.json' with { type: 'json' };

/** Cancels on the first signal; a second one ends the program at once, its children with it. */
function cancelOnSignals(cancel: (signal: 'SIGINT' | 'SIGTERM') => void): void {
  let signalled = false;
  const on = (signal: 'SIGINT' | 'SIGTERM', exitCode: number) =>
    process.on(signal, () => {
      if (signalled) process.exit(exitCode);
      signalled = true;
      cancel(signal);
    });
  on('SIGINT', 130);
  on('SIGTERM', 143);
}

/**
 * Whoever reads may go (`| head`) or lose the terminal: what is under way must not die of it half-way. Listens when a stream is first
 * asked for, since making both takes milliseconds, in which pgBackRest could be at work already.
 */
function outliveReaders(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(process, name);
    const makeStream = () => {
      if (descriptor !== undefined) Object.defineProperty(process, name, descriptor);
      return process[name].on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
      });
    };
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: makeStream });
  }
}

/** By a system call, since a stream takes longer to make than the rest of this; where it would have to wait, by the stream. */
function printVersion(): void {
  const line = `${packageJson.version}\n`;
  try {
    writeSync(1, line);
  } catch {
    outliveReaders();
    process.stdout.write(line);
  }
}

async function main(args: readonly string[]): Promise<void> {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) return printVersion();
  outliveReaders();
  const cli = await (args[0] === 'backups' ? import('./cli/run-backups.ts') : import('./cli/run-cli.ts'));
  // Node ends with 0 where nothing is left to wait for and the program has not said how it ended: that is a bug.
  let hasEnded = false;
  process.on('exit', (code) => {
    if (code !== 0 || hasEnded) return;
    process.exitCode = 1;
    process.stderr.write('error: the program ended in the middle of its work, which is a bug\n');
  });
  const { signal, cancel } = cli.cancellation();
  cancelOnSignals(cancel);
  const exitCode = await cli.runCli(args, { signal, version: packageJson.version, root: join(import.meta.dirname, '..') });
  hasEnded = true;
  process.exit(exitCode);
}

void main(process.argv.slice(2));
