import { readFile } from 'node:fs/promises';
import { createWalFetcher } from './adapters/native/restore/fetch-wal-file.ts';
import { answerOf, NOT_THERE_ANSWER, type WalAnswer } from './adapters/native/restore/wal-answer.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import { createS3BlobStore } from './adapters/s3/blob-store.ts';
import { type ObjectStoreConnection, openS3Client } from './adapters/s3/client.ts';
import { SpokeError } from './errors.ts';

export interface WalRequest {
  /** The file that tells how repositories are reached: RemoteAccess as JSON. */
  readonly access: string;
  readonly repository: string;
  readonly name: string;
  /** Where the file goes; nothing is there yet. */
  readonly path: string;
}

/** How a bucket is reached, and where in it a repository is. Secret. */
export interface S3Access {
  readonly connection: ObjectStoreConnection;
  readonly prefix: string;
}

interface RemoteAccess {
  readonly repositories: Readonly<Record<string, S3Access>>;
  readonly identityFile?: string;
}

/** Brings one WAL file out of a bucket, for restore_command: without the configuration, which whoever runs PostgreSQL need not be able to read. */
export async function fetchWal(request: WalRequest, signal: AbortSignal): Promise<WalAnswer> {
  try {
    const { repositories, identityFile } = await readAccess(request.access);
    const access = repositories[request.repository];
    if (access === undefined) throw new SpokeError('USAGE', `${request.access} tells nothing of repository ${request.repository}`);
    const store = createS3BlobStore(await openS3Client(access.connection), access.prefix);
    const encryption = identityFile === undefined ? {} : { encryption: { recipients: [], identityFile } };
    const { fetch } = createWalFetcher({ runner: createProcessRunner(), settings: { compressLevel: 1, ...encryption } }, { store });
    const size = await fetch(request.name, request.path, { signal });
    store.close();
    return size === undefined ? NOT_THERE_ANSWER : { code: 0, word: '', cause: '' };
  } catch (thrown) {
    return answerOf(thrown);
  }
}

async function readAccess(path: string): Promise<RemoteAccess> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RemoteAccess;
  } catch (thrown) {
    const why = thrown instanceof SyntaxError ? 'it is damaged' : thrown instanceof Error ? thrown.message : String(thrown);
    throw new SpokeError('REFUSED_PRECONDITION', `${path} cannot be read (${why}); write it: spoke-backup setup archiving`, {
      cause: thrown,
    });
  }
}
