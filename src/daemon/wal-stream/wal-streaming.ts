import type { ClusterConfig, RepositoryConfig } from '../../config/model.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { WalArchive } from '../../domain/catalog/wal-archive.ts';
import type { ArchiveFacts } from '../../domain/health/archive-facts.ts';
import type { LocalWal } from '../../domain/streaming/local-wal.ts';
import type { ReceiverState } from '../../domain/streaming/receiver-state.ts';
import type { ReadPorts, WritePorts } from '../../ports/bundle.ts';
import type { Clock } from '../../ports/clock.ts';
import type { TailStore, WalStream } from '../../ports/wal-stream.ts';
import { HoleFiller } from './hole-filler.ts';
import { ReceiverKeeper } from './receiver-keeper.ts';
import { TailKeeper } from './tail-keeper.ts';

export interface WalStreamingParts {
  readonly cluster: ClusterConfig;
  readonly clock: Clock;
  readonly stream: WalStream;
  openTail(repository: RepositoryConfig, signal: AbortSignal): Promise<TailStore>;
  ports(signal: AbortSignal): Promise<ReadPorts & WritePorts>;
  note(level: 'info' | 'warning', message: string): void;
}

/** Receives the WAL of one cluster, keeps its tail in every repository, and fills holes of the archive with it. */
export class WalStreaming {
  readonly #receiver: ReceiverKeeper;
  readonly #tails: readonly TailKeeper[];
  readonly #holes: HoleFiller;
  readonly #stream: WalStream;
  readonly #archives = new Map<RepositoryName, WalArchive>();
  #looking: Promise<LocalWal> | undefined;

  constructor(parts: WalStreamingParts) {
    const look = () => this.#look();
    this.#stream = parts.stream;
    this.#receiver = new ReceiverKeeper(parts);
    this.#holes = new HoleFiller({ ...parts, look });
    this.#tails = byPlace(parts.cluster.repositories).map(
      ([repository, ...others]) =>
        new TailKeeper({
          ...{ repository, everySeconds: parts.cluster.wal.tailSeconds, clock: parts.clock, stream: parts.stream, look },
          open: (signal) => parts.openTail(repository, signal),
          isCurrent: () => this.#receiver.state.kind === 'streaming',
          archives: () => [repository, ...others].map(({ name }) => this.#archives.get(name)),
          lastArchivedWal: () =>
            [repository, ...others].every((one) => acknowledges(parts.cluster, one)) ? this.#receiver.observed?.lastArchivedWal : undefined,
          note: (level, message) => parts.note(level, message),
        }),
    );
  }

  get receiver(): ReceiverState {
    return this.#receiver.state;
  }

  /** Until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#receiver.run(signal), ...this.#tails.map((tail) => tail.run(signal))]);
  }

  /** The archives were listed. */
  async archiveLooked(facts: ArchiveFacts, signal: AbortSignal): Promise<void> {
    for (const { repository, walArchive } of facts.snapshots) if (walArchive !== undefined) this.#archives.set(repository, walArchive);
    await this.#holes.turn(facts, signal);
  }

  /** One look for all who want one at the same time. */
  #look(): Promise<LocalWal> {
    this.#looking ??= this.#stream.look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }
}

/** Those in one place share a tail. */
function byPlace(repositories: readonly RepositoryConfig[]): readonly (readonly [RepositoryConfig, ...RepositoryConfig[]])[] {
  const places = new Map<string, [RepositoryConfig, ...RepositoryConfig[]]>();
  for (const repository of repositories) {
    const place =
      repository.kind === 'local'
        ? repository.path
        : [repository.endpoint, repository.port, repository.bucket, repository.pathPrefix].join(' ');
    const found = places.get(place);
    if (found === undefined) places.set(place, [repository]);
    else found.push(repository);
  }
  return [...places.values()];
}

/** Whether what PostgreSQL counts as archived is in that repository: not where archive_command may leave it for later. */
function acknowledges({ archiving }: ClusterConfig, { engine, kind }: RepositoryConfig): boolean {
  return engine === 'pgbackrest' || archiving.ack === 'all' || kind === 'local';
}
