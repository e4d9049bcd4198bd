import * as z from 'zod/mini';
import { key } from './described.ts';
import * as patterns from './patterns.ts';
import { text } from './schema-values.ts';

/** How an S3 service encrypts what lies in it. */
export const serverSideEncryption = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: key('By keys of the service (SSE-S3).', z.literal('AES256')) }),
    z.strictObject({
      type: key('By a key in its key management service (SSE-KMS).', z.literal('aws:kms')),
      kmsKeyId: key('ID or ARN of the key.', text(patterns.KMS_KEY_PATTERN, 'must be the ID or the ARN of a key')),
    }),
  ],
  { error: 'must be one of AES256, aws:kms' },
);
