import type { ComposedCluster } from '../../composition.ts';
import { asSpokeError } from '../../errors.ts';
import { Alarm } from '../alarm.ts';
import { WalStreaming, type WalStreamingParts } from './wal-streaming.ts';

const RETRY_MS = 10_000;

/** Waits until what it takes can be put together (a secret may not be there yet); undefined once the signal aborts. Never throws. */
export async function startStreaming(
  parts: Omit<WalStreamingParts, 'stream' | 'openTail'> & { compose(signal: AbortSignal): Promise<ComposedCluster> },
  signal: AbortSignal,
): Promise<WalStreaming | undefined> {
  const alarm = new Alarm(parts.clock);
  let said: string | undefined;
  const isOver = () => signal.aborted;
  while (!isOver()) {
    try {
      const { streaming } = await parts.compose(signal);
      // Secrets are read anew each time.
      const openTail: WalStreamingParts['openTail'] = async (repository, until) =>
        (await parts.compose(until)).streaming.openTail(repository);
      return new WalStreaming({ ...parts, stream: streaming.stream, openTail });
    } catch (thrown) {
      const { message } = asSpokeError(thrown);
      if (message !== said && !isOver()) parts.note('warning', `WAL cannot be streamed: ${message}`);
      said = message;
      await alarm.sleep(RETRY_MS, signal);
    }
  }
  return undefined;
}
