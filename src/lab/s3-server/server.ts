import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { openObjectStore, type ObjectStore, type ObjectStoreConnection } from '../../adapters/s3/object-store.ts';
import { SpokeError } from '../../errors.ts';
import { environmentOf, waitUntil, type LabContext } from '../context.ts';
import { assertAlive, readDaemonRecords } from '../daemon.ts';
import { ensureCeph } from './ceph-install.ts';
import { startCeph } from './ceph-start.ts';
import { externalServer } from './external-server.ts';
import type { S3Server } from './s3-server.ts';

export interface S3Place {
  /** Where pids are written down. */
  readonly labDirectory: string;
  /** State and logs. Readable by us only. */
  readonly directory: string;
  /** Gets the certificates. */
  readonly caDirectory: string;
}

const START_TIMEOUT_MS = 30_000;
const BUCKET = 'spoke-lab';

/** Starts one, or takes the one that SPOKE_LAB_S3_ENDPOINT names; the bucket is there when this resolves. */
export async function startS3Server(place: S3Place, context: LabContext): Promise<S3Server> {
  const server = externalServer(environmentOf(context)) ?? (await startCephServer(place, context));
  context.report(`S3 server: ${server.description}, ${server.endpoint}`);
  return server;
}

async function startCephServer(place: S3Place, context: LabContext): Promise<S3Server> {
  const install = await ensureCeph(context);
  await mkdir(place.directory, { recursive: true, mode: 0o700 });
  await mkdir(place.caDirectory, { recursive: true });
  const keys = { accessKey: `LAB${randomBytes(8).toString('hex').toUpperCase()}`, secretKey: randomBytes(24).toString('base64url') };
  const { gatewayPort, caFile, gateway, gatewayLog } = await startCeph(install, place, keys, context);
  const connection = { endpoint: `https://127.0.0.1:${gatewayPort}`, region: 'default', bucket: BUCKET, ...keys, caFile };
  await withStore(connection, (store) =>
    waitUntil('the S3 server answers', START_TIMEOUT_MS, context.signal, async () => {
      await assertAlive(gateway, gatewayLog);
      return createBucket(store, context.signal);
    }),
  );
  const records = await readDaemonRecords(place.labDirectory);
  const pids = records.filter((record) => record.name.startsWith('s3-')).map((record) => record.pid);
  return { kind: 'ceph', description: `Ceph ${install.version} of Debian ${install.suite}`, ...connection, pids };
}

/** undefined while the server does not answer yet. */
async function createBucket(store: ObjectStore, signal: AbortSignal): Promise<true | undefined> {
  try {
    await store.createBucket(signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof SpokeError && thrown.code === 'REPOSITORY_UNAVAILABLE') return undefined;
    throw thrown;
  }
}

/** Removes every object below `prefix` of somebody else's bucket. */
export async function emptyPrefix(connection: ObjectStoreConnection, prefix: string, signal: AbortSignal): Promise<number> {
  return withStore(connection, async (store) => {
    const objects = await store.list(prefix, signal);
    for (const object of objects) await store.delete(object.key, signal);
    return objects.length;
  });
}

async function withStore<T>(connection: ObjectStoreConnection, work: (store: ObjectStore) => Promise<T>): Promise<T> {
  const store = await openObjectStore(connection);
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
