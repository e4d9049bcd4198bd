import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import type { Account } from './cli.ts';

/** Debian has it in /usr/sbin, others elsewhere. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin`;
const PATIENCE_MS = 20_000;
const POLL_MS = 50;

/** Where its admin console is. */
export interface ConsoleAddress {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** This machine's PgBouncer on a configuration file, as the account given. */
export class TestPgBouncer {
  readonly #child: ChildProcess;
  readonly #console: ConsoleAddress;

  private constructor(child: ChildProcess, console: ConsoleAddress) {
    this.#child = child;
    this.#console = console;
  }

  /** Resolves once its console lets us in; throws with its log where it does not. */
  static async start(configFile: string, console: ConsoleAddress, { uid, gid }: Pick<Account, 'uid' | 'gid'>): Promise<TestPgBouncer> {
    const account = process.getuid?.() === 0 ? { uid, gid } : {};
    const child = spawn('pgbouncer', [configFile], { ...account, env: { ...process.env, PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    const bouncer = new TestPgBouncer(child, console);
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        await bouncer.show('VERSION');
        return bouncer;
      } catch (thrown) {
        if (child.exitCode === null && performance.now() < deadline) {
          await new Promise((resolve) => setTimeout(resolve, POLL_MS));
          continue;
        }
        await bouncer.stop();
        throw new Error(`PgBouncer did not start: ${log}`, { cause: thrown });
      }
    }
  }

  /** SHOW something, on the console. */
  async show(what: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.tell(`SHOW ${what}`);
  }

  /** A command for the console. */
  async tell(command: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new Client({ host: '127.0.0.1', database: 'pgbouncer', ...this.#console });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(command)).rows;
    } finally {
      await client.end();
    }
  }

  /** At once. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGQUIT');
    await ended;
  }
}
