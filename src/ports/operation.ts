/** How far a long operation is. Bytes where they are known; `position` is an LSN, a file or a phase in words. */
export interface Progress {
  readonly phase: string;
  readonly doneBytes?: bigint;
  readonly totalBytes?: bigint;
  readonly percent?: number;
  readonly position?: string;
}

/** What every effect gets: it stops on `signal`, tells its progress, and ends by `timeoutMs` at the latest. */
export interface OperationContext {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly timeoutMs?: number;
}
