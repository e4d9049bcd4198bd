import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { WalTail, TailSegment } from '../../domain/catalog/wal-tail.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import { parseTailKey, TAIL_PREFIX, tailKey, tailNewsKey } from '../../domain/streaming/layout.ts';
import type { TailObject } from '../../domain/streaming/local-wal.ts';
import type { BlobReader, BlobStore } from '../../ports/blob-store.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { TailStore } from '../../ports/wal-stream.ts';
import type { TailCodec } from './codec.ts';
import { formatNews, parseNews, type ReadNews } from './tail-news.ts';

const NEWS = /^tail\/[0-9A-F]{8}\/tail\.json$/;

/** The tail of a cluster among the objects of a repository. */
export function createTailStore(repository: RepositoryName, store: BlobStore, codec: TailCodec): TailStore {
  return {
    repository,
    list: async ({ signal }) => objectsOf(await store.list(TAIL_PREFIX, signal)),
    put: ({ name, isWhole }, content, context) =>
      store.writeStream(tailKey(name, isWhole, codec.suffix), codec.store(content, context), context.signal),
    announce: (news, { signal }) => store.write(tailNewsKey(news.newest.timeline), new TextEncoder().encode(formatNews(news)), signal),
    remove: (objects, { signal }) =>
      store.delete(
        objects.map(({ key }) => key),
        signal,
      ),
    close: () => store.close(),
  };
}

/** Undefined where there is none, or none that this version can read. */
export async function readTail(store: BlobReader, { signal }: OperationContext): Promise<WalTail | undefined> {
  const listed = await store.list(TAIL_PREFIX, signal);
  const news: ReadNews[] = [];
  for (const { key } of listed.filter((one) => NEWS.test(one.key))) {
    const text = await store.read(key, signal);
    const parsed = text === undefined ? undefined : parseNews(new TextDecoder().decode(text));
    if (parsed !== undefined) news.push(parsed);
  }
  const newest = news.toSorted((left, right) => (left.segment < right.segment ? -1 : 1)).at(-1);
  if (newest === undefined) return undefined;
  const { systemIdentifier, segmentSizeBytes, at } = newest;
  const own = news.filter((one) => one.systemIdentifier === systemIdentifier && one.segmentSizeBytes === segmentSizeBytes);
  const objects = objectsOf(listed);
  const whole = new Set(objects.filter(({ isWhole }) => isWhole).map(({ segment }) => segment));
  const segments = [...new Set(objects.map(({ segment }) => segment))].sort();
  return {
    systemIdentifier,
    segmentSizeBytes,
    segments: segments.flatMap((segment) => tailSegmentOf(segment, whole.has(segment), own)),
    histories: own.flatMap(({ history }) => (history === undefined ? [] : [history])),
    at,
  };
}

/** Of a part the news tell how far it goes, where it is of the newest segment; of another one nobody knows. */
function tailSegmentOf(segment: string, isWhole: boolean, news: readonly ReadNews[]): TailSegment[] {
  const ofTimeline = news.find((one) => one.segment.slice(0, 8) === segment.slice(0, 8));
  if (ofTimeline === undefined) return [];
  const position = parseWalSegmentName(segment, ofTimeline.segmentSizeBytes);
  if (isWhole) return [position];
  if (segment !== ofTimeline.segment || ofTimeline.isWhole) return [];
  const { endLsn, lastRecordLsn } = ofTimeline;
  return [{ ...position, endLsn, ...(lastRecordLsn === undefined ? {} : { lastRecordLsn }) }];
}

/** Where a segment is stored, as a whole where it is; undefined where it is not. */
export async function storedKeyOf(store: BlobReader, segment: string, { signal }: OperationContext): Promise<string | undefined> {
  const listed = objectsOf(await store.list(`${TAIL_PREFIX}${segment.slice(0, 8)}/${segment}`, signal));
  return (listed.find(({ isWhole }) => isWhole) ?? listed[0])?.key;
}

function objectsOf(listed: Awaited<ReturnType<BlobReader['list']>>): readonly TailObject[] {
  return listed.flatMap(({ key, modifiedAt }) => {
    const parsed = parseTailKey(key);
    return parsed === undefined ? [] : [{ key, ...parsed, modifiedAt }];
  });
}
