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

/** Whoever reads may go (`| head`) or lose the terminal: what is under way must not die of it half-way. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
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
  const cli = await import('./cli/run-cli.ts');
  // Node ends with 0 where nothing is left to wait for and the program has not said how it ended: that is a bug.
  let hasEnded = false;
  process.on('exit', (code) => {
    if (code === 0 && !hasEnded) process.exitCode = 1;
  });
  outliveReaders();
  const { signal, cancel } = cli.cancellation();
  cancelOnSignals(cancel);
  const exitCode = await cli.runCli(args, { signal, version: packageJson.version, root: join(import.meta.dirname, '..') });
  hasEnded = true;
  process.exit(exitCode);
}

void main(process.argv.slice(2));
