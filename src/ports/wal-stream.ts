import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { WalTail } from '../domain/catalog/wal-tail.ts';
import type { LocalWal, TailNews, TailObject } from '../domain/streaming/local-wal.ts';
import type { FileOwner } from './instance.ts';
import type { OperationContext } from './operation.ts';
import type { ServerAddress } from './postgres-server.ts';

/** How a receiver ended. */
export interface ReceiverEnd {
  /** `position gone`: the server does not have any more, or never had, what comes after what is here. */
  readonly kind: 'ended' | 'position gone';
  /** What it said last. */
  readonly message: string;
}

/** The directory of one cluster into which its WAL is streamed, and the program that streams it (pg_receivewal). */
export interface WalStream {
  /** Ends receivers that an earlier process of ours has left behind. Resolves when they are gone. */
  endStrays(context: OperationContext): Promise<void>;
  /** Streams until the program ends; throws CANCELLED where `signal` ended it. Throws TOOL_MISSING. */
  receive(
    request: {
      readonly address: ServerAddress;
      readonly slot: string;
      readonly postgresMajor: number;
      readonly walSegmentSizeBytes: number;
    },
    context: OperationContext,
  ): Promise<ReceiverEnd>;
  /** What has come so far. */
  look(): Promise<LocalWal>;
  /** A segment as far as it was written; undefined where it has been discarded since. */
  open(segment: { readonly name: string; readonly writtenBytes: number }): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Where a whole segment lies, under its own name. */
  pathOf(name: string): string;
  discard(names: readonly string[]): Promise<void>;
  /** Puts what is here out of the receiver's way, which then begins where the slot does; whole segments are still looked at. */
  setAside(): Promise<void>;
}

/** The tail of one cluster in one repository. */
export interface TailStore {
  readonly repository: RepositoryName;
  list(context: OperationContext): Promise<readonly TailObject[]>;
  /** Durable and visible as a whole when it resolves; replaces what is there. */
  put(
    segment: { readonly name: string; readonly isWhole: boolean },
    content: AsyncIterable<Uint8Array>,
    context: OperationContext,
  ): Promise<void>;
  /** Written after the objects that it speaks of. */
  announce(news: TailNews, context: OperationContext): Promise<void>;
  remove(objects: readonly TailObject[], context: OperationContext): Promise<void>;
  close(): void;
}

/** WAL that has been streamed, as a restore and a look see it. */
export interface WalTailReader {
  /** What is in a repository beside its archive, and in the directory of this machine; undefined where nothing is. Throws REPOSITORY_*. */
  readTail(repository: RepositoryName, context: OperationContext): Promise<WalTail | undefined>;
}

export interface StageTailRequest {
  readonly repository: RepositoryName;
  /** Segment names, oldest first. */
  readonly segments: readonly string[];
  readonly histories: readonly { readonly name: string; readonly text: string }[];
  /** A data directory's pg_wal. */
  readonly toDirectory: string;
  readonly owner: FileOwner;
  readonly systemIdentifier: string;
}

export interface WalTailStager {
  /** Puts streamed segments, of the length that a segment has, where a recovering server finds them. Throws BACKUP_DAMAGED, REPOSITORY_*. */
  stageTail(request: StageTailRequest, context: OperationContext): Promise<void>;
}
