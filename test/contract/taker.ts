import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const TAKER = fileURLToPath(new URL('./lock-taker.ts', import.meta.url));

/** A process of its own that takes a lease when told to. */
export interface Taker {
  readonly process: ChildProcess;
  take(): void;
  /** The next line it prints. */
  line(): Promise<string>;
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

/** `cleanUps`: what ends it in any case is added there. */
export async function startTaker(state: string, cleanUps: (() => unknown)[], host = 'db1'): Promise<Taker> {
  const child = spawn(process.execPath, [TAKER, state, host, 'stay'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  const taker: Taker = {
    process: child,
    take: () => child.stdin.write('go\n'),
    line: async () => String((await lines.next()).value),
    async end(kill) {
      child.kill(kill);
      await exited;
    },
  };
  cleanUps.push(() => taker.end('SIGKILL'));
  expect(await taker.line()).toBe('ready');
  return taker;
}

/** One that has it. */
export async function takenBy(state: string, cleanUps: (() => unknown)[], host?: string): Promise<Taker> {
  const taker = await startTaker(state, cleanUps, host);
  taker.take();
  expect(await taker.line()).toBe('acquired');
  return taker;
}

/** The file of the one lease that is held. */
export function leaseFileOf(state: string): string {
  return join(state, 'locks', readdirSync(join(state, 'locks')).find((name) => name.endsWith('.lease')) ?? '');
}

/** Changes what that file tells of its holder. */
export function rewriteLease(state: string, change: Readonly<Record<string, unknown>>): void {
  const record: unknown = JSON.parse(readFileSync(leaseFileOf(state), 'utf8'));
  writeFileSync(leaseFileOf(state), JSON.stringify(Object.assign({}, record, change)));
}
