import type { ClusterConfig } from '../../config/model.ts';
import type { ArchiveFacts } from '../../domain/health/archive-facts.ts';
import { decideHoles } from '../../domain/streaming/decide-holes.ts';
import type { LocalWal } from '../../domain/streaming/local-wal.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts, WritePorts } from '../../ports/bundle.ts';
import type { WalStream } from '../../ports/wal-stream.ts';

export interface HoleFillerParts {
  readonly cluster: ClusterConfig;
  readonly stream: WalStream;
  look(): Promise<LocalWal>;
  ports(signal: AbortSignal): Promise<ReadPorts & WritePorts>;
  note(level: 'info' | 'warning', message: string): void;
}

const MEBIBYTE = 1024 * 1024;
const PUSH_TIMEOUT_MS = 5 * 60_000;
/** After each look at the archive: what is missing then is missing in the next listing, too. */
const MOST_AT_ONCE = 16;

/** After each listing of the archives: fills what they lack out of what was streamed, and lets go what they all have. Never throws. */
export class HoleFiller {
  readonly #parts: HoleFillerParts;
  #failing: string | undefined;

  constructor(parts: HoleFillerParts) {
    this.#parts = parts;
  }

  async turn(facts: ArchiveFacts, signal: AbortSignal): Promise<void> {
    const { cluster, stream, note } = this.#parts;
    try {
      const archives = new Map(
        cluster.repositories.map(({ name }) => [name, facts.snapshots.find(({ repository }) => repository === name)?.walArchive]),
      );
      const local = await this.#parts.look();
      const { fill, discard, overflow } = decideHoles({ local, archives, listedAt: facts.now, mostBytes: cluster.wal.keepMib * MEBIBYTE });
      await stream.discard([...discard, ...overflow].map(({ name }) => name));
      if (overflow.length > 0)
        note('warning', `${overflow.length} streamed segments that are not in every repository had to go: there is no room for them`);
      const ports = await this.#parts.ports(signal);
      for (const { name } of fill.filter((segment) => !overflow.includes(segment)).slice(0, MOST_AT_ONCE)) {
        await ports.engine.archiveSegment(stream.pathOf(name), { signal, timeoutMs: PUSH_TIMEOUT_MS });
        note('info', `filled a hole of the archive with the streamed segment ${name}`);
      }
      this.#failing = undefined;
    } catch (thrown) {
      const { code, message } = asSpokeError(thrown);
      if (!signal.aborted && this.#failing !== code)
        note('warning', `a hole of the archive could not be filled with streamed WAL: ${message}`);
      this.#failing = code;
    }
  }
}
