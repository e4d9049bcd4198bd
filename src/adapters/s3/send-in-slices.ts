import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';

const SLICE_BYTES = 128 * 1024;

/**
 * Has the bodies of requests sent slice by slice. As a whole the SDK hands them to the connection at once, where TLS keeps a copy of what the
 * network has not taken, in memory that grows with every part.
 */
export function sendInSlices(client: Pick<S3Client, 'middlewareStack'>): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { body?: unknown };
      const { body } = request;
      if (!(body instanceof Uint8Array) || body.length <= SLICE_BYTES) return next(args);
      request.body = slicesOf(body);
      try {
        return await next(args);
      } finally {
        // Whoever tries again needs all of it, and asks whether it is there.
        request.body = body;
      }
    },
    { step: 'deserialize', priority: 'low', name: 'sendInSlices' },
  );
}

/** The memory of `bytes` itself, read as fast as it is taken. */
function slicesOf(bytes: Uint8Array): Readable {
  let offset = 0;
  return new Readable({
    highWaterMark: SLICE_BYTES,
    read() {
      this.push(offset < bytes.length ? bytes.subarray(offset, offset + SLICE_BYTES) : null);
      offset += SLICE_BYTES;
    },
  });
}
