import { readdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { storedSuffix, WAL_PREFIX } from '../../../domain/native/layout.ts';
import { isWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import { asSpokeError, type SpokeError } from '../../../errors.ts';
import type { NativeParts } from '../parts.ts';
import { ChangeWatch } from './change-watch.ts';
import { packSegment } from './pack-segment.ts';
import { errorsOf, homeOf, packOf } from './places.ts';
import { createTodo, ifThere, type Todo } from './todo.ts';

const FOLDER = /^[0-9A-F]{16}$/;
/** Changes are told; should one be missed, this is how late it is noticed. */
const LOOK_EVERY_MS = 30_000;
/** Hints may be lost. */
const LIST_EVERY_MS = 3_600_000;
const PAUSE_MS = 10_000;

/**
 * Packs what archive_command has left at home as it is: what hints tell of at once, and at the start and every hour what a listing shows. One at a
 * time: where WAL comes faster, archive_command packs it itself. Until the signal aborts. Never throws.
 */
export class Packer {
  readonly #parts: NativeParts;
  readonly #todo: Todo;
  #listAtMs = -Infinity;
  #noted: string | undefined = '';

  constructor(parts: NativeParts) {
    this.#parts = parts;
    this.#todo = createTodo(packOf(parts.settings));
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#parts;
    const watch = new ChangeWatch(packOf(settings));
    try {
      while (!signal.aborted) {
        if (await this.#pass(signal)) await watch.wait(LOOK_EVERY_MS, clock, signal);
        else await clock.sleep(PAUSE_MS, signal);
      }
    } catch {
      // Aborted while it waited.
    } finally {
      watch.close();
    }
  }

  /** Whether all that was there is packed. One that cannot be packed holds up no other. */
  async #pass(signal: AbortSignal): Promise<boolean> {
    let failure: { readonly error: SpokeError; readonly segment: string } | undefined;
    try {
      for (const segment of await this.#waiting(signal)) {
        if (signal.aborted) return true;
        await this.#packOne(segment, signal).catch((thrown: unknown) => (failure ??= { error: asSpokeError(thrown), segment }));
      }
    } catch (thrown) {
      failure ??= { error: asSpokeError(thrown), segment: '' };
    }
    if (signal.aborted) return true;
    // What failed is found again, whether or not a hint of it is left.
    this.#listAtMs = failure === undefined ? this.#listAtMs : -Infinity;
    await this.#note(failure === undefined ? undefined : `${failure.segment}\n${textOf(failure.error)}\n`);
    return failure === undefined;
  }

  async #packOne(segment: string, signal: AbortSignal): Promise<void> {
    await packSegment(this.#parts, `${segment}${storedSuffix(this.#parts.settings.compressType, false)}`, { signal });
    await this.#todo.remove(segment);
  }

  async #waiting(signal: AbortSignal): Promise<readonly string[]> {
    const hinted = (await this.#todo.list()).filter((name) => isWalSegmentName(name));
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs < this.#listAtMs) return hinted;
    const listed = await this.#listed(signal);
    this.#listAtMs = nowMs + LIST_EVERY_MS;
    return [...new Set([...hinted, ...listed])].sort();
  }

  async #listed(signal: AbortSignal): Promise<readonly string[]> {
    const wal = join(homeOf(this.#parts.settings).directory, WAL_PREFIX);
    const found: string[] = [];
    for (const folder of (await ifThere(readdir(wal), [])).filter((name) => FOLDER.test(name))) {
      signal.throwIfAborted();
      found.push(...(await ifThere(readdir(join(wal, folder)), [])).filter((name) => isWalSegmentName(name)));
    }
    return found;
  }

  /** For whoever watches the archive. Where home is a spool, those say it that it is to be brought to. */
  async #note(text: string | undefined): Promise<void> {
    const { repository } = homeOf(this.#parts.settings);
    if (repository === undefined || text === this.#noted) return;
    const path = join(errorsOf(this.#parts.settings), repository.name);
    const writing = text === undefined ? ifThere(unlink(path), undefined) : writeFile(path, text);
    this.#noted = await writing.then(() => text).catch(() => '');
  }
}

function textOf({ message, hint }: SpokeError): string {
  return `${message} ${hint}`.replaceAll(/\s+/g, ' ').trim();
}
