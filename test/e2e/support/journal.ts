import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningTool } from './tool.ts';

/** An entry of a run's journal, as far as tests look at it. */
export interface Entry {
  readonly kind: string;
  readonly step?: string;
  readonly outcome?: string;
  readonly message?: string;
  readonly code?: string;
  readonly result?: unknown;
  readonly detail?: unknown;
  readonly details?: unknown;
}

const PATIENCE_MS = 60_000;
const POLL_MS = 2;

/** The runs of a state directory, oldest first. */
export function runsIn(stateDirectory: string): readonly string[] {
  try {
    return readdirSync(join(stateDirectory, 'runs')).sort();
  } catch {
    return [];
  }
}

/** The whole lines of a run's journal. */
export function journalOf(stateDirectory: string, run: string): readonly Entry[] {
  let text = '';
  try {
    text = readFileSync(join(stateDirectory, 'runs', run, 'journal.jsonl'), 'utf8');
  } catch {
    return [];
  }
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);
}

/**
 * Watches the journal for what happens from now on: `when` resolves with the run as soon as a step is begun that was not
 * before. Made before the program is started.
 */
export class JournalWatch {
  readonly #stateDirectory: string;
  readonly #before: ReadonlyMap<string, number>;

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
    this.#before = new Map(runsIn(stateDirectory).map((run) => [run, journalOf(stateDirectory, run).length]));
  }

  /** Resolves with the run's name when `step` has begun. Throws where the program ended before. */
  async stepBegun(step: string, tool: RunningTool): Promise<string> {
    return this.entry((one) => one.kind === 'step-started' && one.step === step, `step ${step}`, tool);
  }

  async entry(matches: (entry: Entry) => boolean, what: string, tool: RunningTool): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const hasEnded = tool.hasEnded;
      for (const run of runsIn(this.#stateDirectory))
        if (
          journalOf(this.#stateDirectory, run)
            .slice(this.#before.get(run) ?? 0)
            .some(matches)
        )
          return run;
      if (hasEnded) throw new Error(`the program ended before ${what}:\n${tool.stdout}\n${tool.stderr}`);
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}:\n${tool.stderr}`);
      await delay(POLL_MS);
    }
  }
}
