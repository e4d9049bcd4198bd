import { Readable, type Writable } from 'node:stream';
import type { ProcessRequest } from '../../ports/process-runner.ts';

/** How the process that a stream belongs to ended: resolves where all went well, throws what went wrong otherwise. */
type Verdict = () => Promise<void>;

/** One of the two streams between us and a child. */
export interface Connection {
  /** Resolves once nobody works on it any more. */
  readonly settled: Promise<void>;
  /** The process is being ended, for this reason: whoever works on the stream shall stop. */
  abandon(reason: Error): void;
}

/**
 * Writes `source` to the child as fast as it reads. `onFault`: the source threw. The end of the input is never shown to a child whose
 * source threw: it would take what it has for the whole.
 */
export function feed(stdin: Writable, source: AsyncIterable<Uint8Array>, onFault: (thrown: Error) => void): Connection {
  const readable = Readable.from(source, { objectMode: false });
  const stop = () => readable.destroy();
  // EPIPE, ECONNRESET: it has ended, or wants no more.
  stdin.on('error', stop);
  stdin.once('close', stop);
  readable.once('error', onFault);
  const closed = new Promise<void>((resolve) => readable.once('close', resolve));
  let abandon = () => {};
  const abandoned = new Promise<void>((resolve) => (abandon = resolve));
  readable.pipe(stdin);
  return {
    // A source that waits for something cannot be closed before that has come; where the process is ended anyway, nobody waits for it.
    settled: Promise.race([closed, abandoned]),
    abandon() {
      stop();
      abandon();
    },
  };
}

/** Lets `consume` read the child's output. `onFault`: it threw, and not because of how the process ended. */
export function drain(
  stdout: Readable,
  consume: NonNullable<ProcessRequest['consumeStdout']>,
  on: { readonly verdict: Verdict; readonly alive: () => void; readonly fault: (thrown: unknown) => void },
): Connection {
  const told = { verdict: false };
  stdout.on('error', () => {});
  async function* output(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      on.alive();
      yield chunk;
    }
    await on.verdict().catch((thrown: unknown) => {
      told.verdict = true;
      throw thrown;
    });
  }
  const settled = (async () => {
    try {
      await consume(output());
    } catch (thrown) {
      if (!told.verdict) on.fault(thrown);
    } finally {
      stdout.destroy();
    }
  })();
  return { settled, abandon: (reason) => stdout.destroy(reason) };
}
