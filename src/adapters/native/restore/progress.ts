import type { OperationContext } from '../../../ports/operation.ts';

const PERCENT_STEP = 0.5;

/** Counts bytes that come from several objects at once, and tells of every half percent. */
export function countingProgress(
  phase: string,
  totalBytes: bigint,
  { onProgress }: Pick<OperationContext, 'onProgress'>,
): (count: number) => void {
  let doneBytes = 0n;
  let told = -PERCENT_STEP;
  return (count) => {
    doneBytes += BigInt(count);
    const percent = totalBytes === 0n ? 100 : Math.min(100, Number((doneBytes * 10_000n) / totalBytes) / 100);
    if (percent - told < PERCENT_STEP && doneBytes < totalBytes) return;
    told = percent;
    onProgress?.({ phase, doneBytes, totalBytes, percent });
  };
}
