import { asSpokeError, type SpokeError } from '../../../errors.ts';

/** One of several that get the same bytes. */
export interface Branch<Name> {
  readonly name: Name;
  /** Resolves once all of `source` is stored. Where `source` throws, nothing of it may stay. */
  write(source: AsyncIterable<Uint8Array>): Promise<void>;
}

/** How far the slowest branch may be behind the source. Bounds the memory, and evens out that stores take bytes in bursts. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

/**
 * Hands every chunk to each branch, no faster than the slowest takes them. A branch that fails is left out from then on; resolves with those
 * that did. Throws what `source` throws, once every branch has seen it; where all branches fail the source is closed early.
 */
export async function fanOut<Name>(
  source: AsyncIterable<Uint8Array>,
  branches: readonly Branch<Name>[],
): Promise<ReadonlyMap<Name, SpokeError>> {
  const failures = new Map<Name, SpokeError>();
  const channels = branches.map(({ name, write }) => {
    const channel = createChannel();
    const done = write(channel.output).then(
      () => channel.end(),
      (thrown: unknown) => {
        failures.set(name, asSpokeError(thrown));
        channel.end();
      },
    );
    return { name, channel, done };
  });
  try {
    for await (const chunk of source) {
      await Promise.all(channels.map(({ channel }) => channel.push(chunk)));
      if (failures.size === branches.length) break;
    }
    for (const { channel } of channels) channel.close();
    await Promise.all(channels.map(({ done }) => done));
  } catch (thrown) {
    for (const { channel } of channels) channel.fail(thrown);
    await Promise.all(channels.map(({ done }) => done));
    throw thrown;
  }
  return failures;
}

interface Channel {
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves once there is room for more; at once where nobody reads any more. */
  push(chunk: Uint8Array): Promise<void>;
  close(): void;
  fail(reason: unknown): void;
  /** Nobody reads any more. */
  end(): void;
}

function createChannel(): Channel {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let state: { readonly kind: 'open' | 'closed' | 'ended' } | { readonly kind: 'failed'; readonly reason: unknown } = { kind: 'open' };
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const become = (next: typeof state) => {
    if (state.kind !== 'ended') state = next;
    change();
  };
  async function* output(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (state.kind === 'failed') throw state.reason;
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        waitingBytes -= chunk.length;
        change();
        yield chunk;
      } else if (state.kind === 'open') await changed.promise;
      else return;
    }
  }
  return {
    output: output(),
    async push(chunk) {
      if (state.kind !== 'open') return;
      waiting.push(chunk);
      waitingBytes += chunk.length;
      change();
      while (isOpen() && waitingBytes > MOST_WAITING_BYTES) await changed.promise;
    },
    close: () => become({ kind: 'closed' }),
    fail: (reason) => become({ kind: 'failed', reason }),
    end() {
      waiting.length = 0;
      waitingBytes = 0;
      become({ kind: 'ended' });
    },
  };

  function isOpen(): boolean {
    return state.kind === 'open';
  }
}
