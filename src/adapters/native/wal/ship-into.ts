import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { walFileOfStored } from '../../../domain/native/layout.ts';
import { chooseNextFiles } from '../../../domain/native/shipping-order.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeRepository } from '../settings.ts';
import { ChangeWatch } from './change-watch.ts';
import { OtherBytes } from './other-bytes.ts';
import { errorsOf, todoOf } from './places.ts';
import { type CompleteFolders, reconcile } from './reconcile.ts';
import { shipFile } from './ship-file.ts';
import { createTodo, ifThere, type Todo } from './todo.ts';

/** Uploads at the same time into one repository. */
const AT_ONCE = 4;
/** Files of one pass: after it one looks anew which are the newest. */
const MOST_IN_PASS = 64;
/** Changes are told; should one be missed, this is how late it is noticed. */
const LOOK_EVERY_MS = 30_000;
const RECONCILE_EVERY_MS = 3_600_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
const SLOW_MS = 30_000;
/** Some five minutes. */
const MOST_FAILURES = 10;
/** A file that holds other bytes there is looked at again after this: somebody may have mended it. */
const POSTPONED_MS = 300_000;

export interface ShippingInto {
  readonly repository: NativeRepository;
  /** Finds by comparing what no hint tells of: at the start, and every hour. */
  readonly reconciles: boolean;
  /** A file that the repository has by now. */
  onThere(stored: string): Promise<void>;
}

/**
 * Brings into one repository what home has, oldest first, until the signal aborts, or until it has failed for some minutes: then whoever has it
 * run puts it together anew, with secrets that may have changed. Never throws.
 */
export class ShipperInto {
  readonly #parts: NativeParts;
  readonly #into: ShippingInto;
  readonly #todo: Todo;
  readonly #complete: CompleteFolders = new Map();
  readonly #postponed = new Map<string, number>();
  #reconcileAtMs = -Infinity;
  #failures = 0;
  #noted: string | undefined;

  constructor(parts: NativeParts, into: ShippingInto) {
    this.#parts = parts;
    this.#into = into;
    this.#todo = createTodo(todoOf(parts.settings, into.repository.name));
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts;
    const watch = new ChangeWatch(todoOf(settings, this.#into.repository.name));
    try {
      while (!signal.aborted && this.#failures < MOST_FAILURES) {
        const isIdle = await this.#tryOnce(signal);
        if (this.#failures > 0) await clock.sleep(this.#pauseMs(), signal);
        else if (isIdle) await watch.wait(LOOK_EVERY_MS, clock, signal);
      }
    } catch {
      // Aborted while it slept.
    } finally {
      watch.close();
    }
  }

  /** Whether nothing is left to be done for now. */
  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#reconcileWhereDue(signal);
      const isIdle = await this.#pass(signal);
      this.#failures = 0;
      if (this.#postponed.size === 0) await this.#note(undefined);
      return isIdle;
    } catch (thrown) {
      if (signal.aborted) return true;
      this.#failures += 1;
      await this.#note(asSpokeError(thrown), '');
      return false;
    }
  }

  async #reconcileWhereDue(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const { reconciles, repository, onThere } = this.#into;
    if (!reconciles || clock.monotonicMs() < this.#reconcileAtMs) return;
    const seen: string[] = [];
    const into = { repository, todo: this.#todo, complete: this.#complete, onThere: (stored: string) => seen.push(stored) };
    await reconcile(this.#parts, into, signal);
    for (const stored of seen) await onThere(stored);
    this.#reconcileAtMs = clock.monotonicMs() + RECONCILE_EVERY_MS;
  }

  async #pass(signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#parts.clock.monotonicMs();
    const waiting = (await this.#todo.list()).filter((stored) => (this.#postponed.get(stored) ?? -Infinity) <= nowMs);
    const limit = pLimit(AT_ONCE);
    const failures: SpokeError[] = [];
    const slow = this.#sayWhereSlow();
    await Promise.all(
      chooseNextFiles(waiting, MOST_IN_PASS).map((stored) =>
        limit(async () => {
          if (failures.length > 0 || signal.aborted) return;
          await this.#ship(stored, signal).catch((thrown: unknown) => failures.push(asSpokeError(thrown)));
          slow.refresh();
        }),
      ),
    );
    clearTimeout(slow);
    const [first] = failures;
    if (first !== undefined) throw first;
    return waiting.length === 0;
  }

  /** A store may be patient with its server for minutes; whoever watches the archive is told before. */
  #sayWhereSlow(): NodeJS.Timeout {
    const { name } = this.#into.repository;
    const message = `repository ${name} has taken nothing for ${SLOW_MS / 1000} s`;
    return setTimeout(() => void this.#note(new SpokeError('REPOSITORY_UNAVAILABLE', message)), SLOW_MS);
  }

  async #ship(stored: string, signal: AbortSignal): Promise<void> {
    const { repository, onThere } = this.#into;
    try {
      const outcome = await shipFile(this.#parts, repository, stored, { signal });
      await this.#todo.remove(stored);
      this.#postponed.delete(stored);
      if (outcome !== 'gone') await onThere(stored);
    } catch (thrown) {
      if (!(thrown instanceof OtherBytes)) throw thrown;
      this.#postponed.set(stored, this.#parts.clock.monotonicMs() + POSTPONED_MS);
      await this.#note(thrown, walFileOfStored(stored) ?? '');
    }
  }

  /** Twice as long after each failure, and never for everybody at the same time. */
  #pauseMs(): number {
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures - 1, 16));
    return most * (0.5 + Math.random() / 2);
  }

  async #note(error: SpokeError | undefined, file = ''): Promise<void> {
    const path = join(errorsOf(this.#parts.settings), this.#into.repository.name);
    const text = error === undefined ? undefined : `${file}\n${`${error.message} ${error.hint}`.replaceAll(/\s+/g, ' ')}\n`;
    if (text === this.#noted && text !== undefined) return;
    this.#noted = text;
    // A spool that cannot be written is said by whoever needs it.
    await (text === undefined ? ifThere(unlink(path), undefined) : writeFile(path, text)).catch(() => undefined);
  }
}
