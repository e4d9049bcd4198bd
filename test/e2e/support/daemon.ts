import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { parseDocument, stringify } from 'yaml';
import type { Lab } from '../../harness/lab.ts';
import { RunningTool } from './tool.ts';

/** A line of the daemon's log, as far as tests look at it. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly run_id?: string;
  readonly trigger?: string;
  readonly repositories?: readonly string[];
}

const PATIENCE_MS = 120_000;

/** Writes schedules beside the lab's configuration, and has its cluster name them. */
export async function giveSchedules(lab: Lab, schedules: Readonly<Record<string, Readonly<Record<string, unknown>>>>): Promise<void> {
  const { config } = lab.description;
  const directory = join(dirname(config), 'schedules');
  mkdirSync(directory, { recursive: true });
  for (const [name, values] of Object.entries(schedules)) writeFileSync(join(directory, `${name}.yaml`), stringify(values));
  const document = parseDocument(await readFile(config, 'utf8'));
  document.setIn(['clusters', 'lab', 'schedules'], Object.keys(schedules));
  await writeFile(config, document.toString());
}

/** `spoke-backup daemon` on a lab. */
export class RunningDaemon {
  readonly tool: RunningTool;
  /** How many of its lines a test has looked at. */
  #read = 0;

  constructor(lab: Lab, ...argv: readonly string[]) {
    this.tool = new RunningTool(['daemon', ...argv], { config: lab.description.config });
  }

  get lines(): readonly LogLine[] {
    const whole = this.tool.stderr.split('\n').slice(0, -1);
    return whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
  }

  /** Waits for the next line that is meant, after those that were waited for before. */
  async line(what: string, isMeant: (line: LogLine) => boolean): Promise<LogLine> {
    let found: LogLine | undefined;
    const look = () => {
      const lines = this.lines;
      const index = lines.findIndex((line, at) => at >= this.#read && isMeant(line));
      if (index >= 0) {
        found = lines[index];
        this.#read = index + 1;
      }
      return found !== undefined || this.tool.hasEnded;
    };
    await expect.poll(look, { timeout: PATIENCE_MS, interval: 50 }).toBe(true);
    if (found === undefined) throw new Error(`the daemon ended before ${what}:\n${this.tool.stderr}`);
    return found;
  }

  succeeded(repository: string, kind = 'backup'): Promise<LogLine> {
    return this.line(
      `a good ${kind} in ${repository}`,
      (line) => line.msg === `${kind} succeeded` && line.repositories?.includes(repository) === true,
    );
  }

  begun(repository: string): Promise<LogLine> {
    return this.line(
      `a backup in ${repository} begins`,
      (line) => /^(begun|resumed): backup/.test(line.msg) && line.repositories?.includes(repository) === true,
    );
  }

  /** Asked to end, it does, with 0. */
  async stop(): Promise<void> {
    this.tool.kill('SIGTERM');
    const { exitCode, stderr } = await this.tool.ended;
    expect(exitCode, stderr).toBe(0);
  }
}
