/** A program that runs one child through the runner, for tests of what becomes of the child when the program ends. */
import { createProcessRunner } from '../../../src/adapters/process/index.ts';

const [mode, file, ...argv] = process.argv.slice(2);
if (mode === 'exit-on-term') process.on('SIGTERM', () => process.exit(9));
await createProcessRunner({ graceMs: 300 }).run({
  file: file ?? '',
  argv,
  signal: new AbortController().signal,
  timeoutMs: 60_000,
  ...(mode === 'reads-only' && { readsOnly: true }),
  onLine: (line) => process.stdout.write(`${line}\n`),
});
