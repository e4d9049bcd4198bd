import type { S3Client as SdkClient } from '@aws-sdk/client-s3';

/** How the service encrypts what it is given: with keys of its own, or with one that lies in its key management service. */
export type ServerSideEncryption = { readonly type: 'AES256' } | { readonly type: 'aws:kms'; readonly kmsKeyId: string };

/** What begins an object. Parts are encrypted as their upload was begun. */
const BEGINNINGS: ReadonlySet<string> = new Set(['PutObjectCommand', 'CreateMultipartUploadCommand']);

/** Asks for it with every object that this client writes, so that no request is left out, of whoever makes it. */
export function askForEncryption(client: SdkClient, encryption: ServerSideEncryption): void {
  const asked = {
    ServerSideEncryption: encryption.type,
    ...(encryption.type === 'aws:kms' && { SSEKMSKeyId: encryption.kmsKeyId }),
  };
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      (args) =>
        next(BEGINNINGS.has(commandName) ? { ...args, input: { ...args.input, ...asked } } : args),
    { step: 'initialize', name: 'askForEncryption' },
  );
}
