import { asSpokeError, type SpokeError } from '../../../errors.ts';
import { type Block, createBlocks } from './blocks.ts';

/** One of several that get the same bytes. */
export interface Branch<Name> {
  readonly name: Name;
  /**
   * Resolves once all of `source` is stored. Where `source` throws, nothing of it may stay. What `source` gives is there only until the next
   * is asked for: its memory is used again.
   */
  write(source: AsyncIterable<Uint8Array>): Promise<void>;
}

/**
 * Hands every byte to each branch, no faster than the slowest takes them. A branch that fails is left out from then on; resolves with those
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
    for await (const block of createBlocks().of(source)) {
      const open = channels.filter(({ channel }) => channel.isOpen());
      block.lend(open.length);
      for (const { channel } of open) channel.push(block);
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
  /** Somebody reads, and there may be more. */
  isOpen(): boolean;
  push(block: Block): void;
  close(): void;
  fail(reason: unknown): void;
  /** Nobody reads any more. */
  end(): void;
}

function createChannel(): Channel {
  const waiting: Block[] = [];
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
      const block = waiting.shift();
      if (block !== undefined) {
        try {
          yield block.bytes();
        } finally {
          block.giveBack();
        }
      } else if (state.kind === 'open') await changed.promise;
      else return;
    }
  }
  return {
    output: output(),
    isOpen: () => state.kind === 'open',
    push(block) {
      waiting.push(block);
      change();
    },
    close: () => become({ kind: 'closed' }),
    fail: (reason) => become({ kind: 'failed', reason }),
    end() {
      for (const block of waiting.splice(0)) block.giveBack();
      become({ kind: 'ended' });
    },
  };
}
