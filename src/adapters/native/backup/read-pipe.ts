import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** As much as a pipe holds: one look takes all that there is. */
const READ_BYTES = 64 * 1024;
const CHUNK_BYTES = 1024 * 1024;

/**
 * What comes through a named pipe, in chunks of up to 1 MiB, no further ahead than one of them. A chunk is there until the next is asked for:
 * its memory is used again. Ends once there was a writer and there is none any more. Throws the signal's reason, and what the file system says.
 */
export async function* readPipe(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const filling = { memory: Buffer.allocUnsafeSlow(CHUNK_BYTES), bytes: 0 };
  let handedOut = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const pipe = openPipe(path, signal, (piece) => {
    filling.memory.set(piece, filling.bytes);
    filling.bytes += piece.length;
    return CHUNK_BYTES - filling.bytes >= READ_BYTES;
  });
  try {
    for (;;) {
      await pipe.somethingCame(() => filling.bytes > 0);
      if (filling.bytes === 0) return;
      const chunk = filling.memory.subarray(0, filling.bytes);
      [filling.memory, handedOut] = [handedOut, filling.memory];
      filling.bytes = 0;
      pipe.goOn();
      yield chunk;
    }
  } finally {
    pipe.close();
  }
}

interface Pipe {
  /** Resolves once there is something, or the end. Throws where the pipe cannot be read. */
  somethingCame(isThere: () => boolean): Promise<void>;
  /** There is room again. */
  goOn(): void;
  close(): void;
}

/** `take` gets what comes, whose memory is used again, and tells whether it has room for as much again. */
function openPipe(path: string, signal: AbortSignal, take: (piece: Uint8Array) => boolean): Pipe {
  // Opened like this it does not wait for a writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const state: { hasEnded: boolean; failure?: Error } = { hasEnded: false };
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const onread = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback(bytes: number, buffer: Uint8Array) {
      const hasRoom = take(buffer.subarray(0, bytes));
      change();
      return hasRoom;
    },
  };
  const socket = new Socket({ fd, readable: true, writable: false, signal, onread });
  socket.on('end', () => {
    state.hasEnded = true;
    change();
  });
  socket.on('error', (failure) => {
    state.failure = failure;
    change();
  });
  return {
    async somethingCame(isThere) {
      while (!isThere() && !state.hasEnded) {
        if (state.failure !== undefined) throw signal.aborted ? (signal.reason as Error) : state.failure;
        await changed.promise;
      }
    },
    goOn: () => socket.resume(),
    close: () => socket.destroy(),
  };
}
