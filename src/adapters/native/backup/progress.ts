import type { OperationContext } from '../../../ports/operation.ts';

/** `  22953/22953 kB (100%), 0/1 tablespace`: uncompressed bytes, about once a second. */
const REPORT = /^\s*(\d+)\/(\d+) kB \(/;
const PHASES: readonly (readonly [RegExp, string])[] = [
  [/waiting for checkpoint/, 'waiting for the checkpoint'],
  [/checkpoint completed/, 'copy'],
  [/waiting for (?:all )?required WAL segments|waiting for .*WAL.* to be archived/, 'waiting for the WAL of the backup'],
];
const KIB = 1024n;
const ALL = 100;
const TELLING_BYTES = 64 * 1024 * 1024;

/** What an earlier backup tells of how large this one gets. */
export interface SizeEstimate {
  readonly databaseBytes: bigint;
  readonly storedBytes: bigint;
}

/** Tells how far a copy is, between the reports of pg_basebackup by what was stored since. */
export interface CopyProgress {
  stored(bytes: number): void;
  line(text: string): void;
  /** Everything has been copied. */
  complete(): void;
}

/** Percent never falls, and is 100 only once all is there. */
export function createCopyProgress({ onProgress }: Pick<OperationContext, 'onProgress'>, estimate: SizeEstimate | undefined): CopyProgress {
  let storedBytes = 0;
  let reported = { doneBytes: 0, storedBytes: 0 };
  let totalBytes = Number(estimate?.databaseBytes ?? 0n);
  let percent = -1;
  // What it reports may be some MiB ahead of what is stored: of a small cluster an earlier backup tells more.
  const trustsReports = () => reported.doneBytes > 0 && (estimate === undefined || reported.storedBytes >= TELLING_BYTES);
  // Stored bytes that stand for one of the database's.
  const ratio = () => {
    if (trustsReports()) return Math.max(reported.storedBytes, 1) / reported.doneBytes;
    return estimate === undefined || estimate.databaseBytes === 0n ? 1 : Number(estimate.storedBytes) / Number(estimate.databaseBytes);
  };
  const tell = (next: number, doneBytes: number) => {
    if (next <= percent) return;
    percent = next;
    const total = BigInt(Math.round(Math.max(totalBytes, doneBytes)));
    onProgress?.({ phase: 'copy', percent, doneBytes: BigInt(Math.round(doneBytes)), totalBytes: total });
  };
  const tellDone = () => {
    const since = trustsReports() ? reported : { doneBytes: 0, storedBytes: 0 };
    const done = since.doneBytes + (storedBytes - since.storedBytes) / Math.max(ratio(), 1e-6);
    if (totalBytes > 0) tell(Math.min(ALL - 1, Math.floor((done / totalBytes) * ALL)), Math.min(done, totalBytes));
  };
  return {
    stored(bytes) {
      storedBytes += bytes;
      tellDone();
    },
    line(text) {
      const [, done, total] = REPORT.exec(text) ?? [];
      if (done !== undefined && total !== undefined) {
        reported = { doneBytes: Number(BigInt(done) * KIB), storedBytes };
        totalBytes = Number(BigInt(total) * KIB);
        tellDone();
        return;
      }
      const phase = PHASES.find(([pattern]) => pattern.test(text))?.[1];
      if (phase !== undefined) onProgress?.({ phase });
    },
    complete: () => tell(ALL, totalBytes),
  };
}
