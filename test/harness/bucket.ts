import { readFile } from 'node:fs/promises';
import { openS3Client, type S3Client } from '../../src/adapters/s3/client.ts';
import type { LabS3 } from '../../src/lab/description.ts';

const signal = new AbortController().signal;

/** The objects of the lab's S3 repository, looked at and changed behind the program's back. Keys are relative to the repository. */
export class LabBucket {
  readonly #s3: LabS3;

  constructor(s3: LabS3) {
    this.#s3 = s3;
  }

  get #root(): string {
    return `${this.#s3.pathPrefix.slice(1)}/`;
  }

  async keys(prefix = ''): Promise<readonly string[]> {
    return this.#with(async ({ guarded, sdk, bucket }) => {
      const keys: string[] = [];
      let ContinuationToken: string | undefined;
      do {
        const page = { Bucket: bucket, Prefix: this.#root + prefix, ...(ContinuationToken !== undefined && { ContinuationToken }) };
        const answer = await guarded(signal, (client) => client.send(new sdk.ListObjectsV2Command(page)));
        keys.push(...(answer.Contents ?? []).map(({ Key = '' }) => Key.slice(this.#root.length)));
        ContinuationToken = answer.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      return keys;
    });
  }

  read(key: string): Promise<Buffer> {
    return this.#with(async ({ guarded, sdk, bucket }) => {
      const answer = await guarded(signal, (client) => client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: this.#root + key })));
      return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
    });
  }

  async write(key: string, Body: Uint8Array): Promise<void> {
    await this.#with(({ guarded, sdk, bucket }) =>
      guarded(signal, (client) => client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: this.#root + key, Body }))),
    );
  }

  async remove(keys: readonly string[]): Promise<void> {
    await this.#with(async ({ guarded, sdk, bucket }) => {
      for (const key of keys)
        await guarded(signal, (client) => client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: this.#root + key })));
    });
  }

  async #with<T>(work: (s3: S3Client) => Promise<T>): Promise<T> {
    const { endpoint, bucket, region, caFile, accessKeyFile, secretKeyFile } = this.#s3;
    const [accessKey, secretKey] = await Promise.all(
      [accessKeyFile, secretKeyFile].map(async (path) => (await readFile(path, 'utf8')).trim()),
    );
    const s3 = await openS3Client({
      endpoint,
      bucket,
      region,
      ...(accessKey !== undefined && secretKey !== undefined && { accessKey, secretKey }),
      ...(caFile !== undefined && { caFile }),
    });
    try {
      return await work(s3);
    } finally {
      s3.close();
    }
  }
}
