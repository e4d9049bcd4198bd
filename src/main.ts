import { fileURLToPath } from 'node:url';
import packageJson from '../package.json' with { type: 'json' };

/** Cancels on the first signal; a second one ends the program at once, its children with it. */
function cancelOnSignals(): AbortController {
  const controller = new AbortController();
  const cancel = async (code: 'CANCELLED' | 'TERMINATED', words: string) => {
    if (controller.signal.aborted) process.exit(code === 'CANCELLED' ? 130 : 143);
    const { SpokeError } = await import('./errors.ts');
    controller.abort(new SpokeError(code, words));
  };
  process.on('SIGINT', () => void cancel('CANCELLED', 'interrupted'));
  process.on('SIGTERM', () => void cancel('TERMINATED', 'asked to end'));
  return controller;
}

const args = process.argv.slice(2);
if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${packageJson.version}\n`);
} else {
  const { signal } = cancelOnSignals();
  const { runCli } = await import('./cli/run-cli.ts');
  process.exit(await runCli(args, { signal, version: packageJson.version, root: fileURLToPath(new URL('..', import.meta.url)) }));
}
