import type { OperationContext } from '../../../ports/operation.ts';

/** Does the work of every item, some at a time. The first that fails ends the others, and is what is thrown once none is at work any more. */
export async function allOrNone<T>(
  items: readonly T[],
  atOnce: number,
  context: OperationContext,
  work: (item: T, context: OperationContext) => Promise<void>,
): Promise<void> {
  const failing = new AbortController();
  const inner = { ...context, signal: AbortSignal.any([context.signal, failing.signal]) };
  const waiting = [...items];
  let failed: { readonly thrown: unknown } | undefined;
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined && failed === undefined; item = waiting.shift())
      await work(item, inner).catch((thrown: unknown) => {
        failed ??= { thrown };
        failing.abort(thrown);
      });
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failed !== undefined) throw failed.thrown;
}
