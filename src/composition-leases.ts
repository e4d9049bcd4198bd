import type { Register } from './adapters/s3/register.ts';
import { createLeaseFiles } from './adapters/state/lease-files.ts';
import { isGoneFromHere, ownIdentity, type ProcessIdentity } from './adapters/state/process-identity.ts';
import { openS3 } from './composition-stores.ts';
import type { ClusterConfig, Configuration, S3RepositoryConfig } from './config/model.ts';
import type { SecretContext } from './config/resolve-secret.ts';
import { SpokeError } from './errors.ts';
import type { Clock } from './ports/clock.ts';
import type { LeaseStore } from './ports/lease.ts';

/** This host's files; where several hosts work on the cluster, then also the bucket that they share. */
export async function leaseStores(
  configuration: Configuration,
  cluster: ClusterConfig,
  clock: Clock,
  secrets: SecretContext,
): Promise<readonly LeaseStore[]> {
  const local = createLeaseFiles(configuration.stateDirectory, clock);
  return cluster.multiHost === undefined ? [local] : [local, await sharedLeases(cluster, clock, secrets)];
}

/** Reads no secret and loads no SDK before the first lease is asked for. Throws CONFIG_INVALID. */
async function sharedLeases(cluster: ClusterConfig, clock: Clock, secrets: SecretContext): Promise<LeaseStore> {
  const { repository, termMs } = sharedPlace(cluster);
  const { S3LeaseStore } = await import('./adapters/s3/lease-store.ts');
  const own: ProcessIdentity = await ownIdentity();
  return new S3LeaseStore((signal) => openLeaseRegister(cluster, repository, secrets, termMs / 3, signal), {
    place: `the bucket ${repository.bucket} at ${repository.endpoint}`,
    clock,
    termMs,
    ownProcess: { ...own },
    isGone: (process) => isGoneFromHere(process as unknown as ProcessIdentity, own),
  });
}

async function openLeaseRegister(
  cluster: ClusterConfig,
  repository: S3RepositoryConfig,
  secrets: SecretContext,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Register> {
  const { openRegister } = await import('./adapters/s3/register.ts');
  const { probeConditionalWrites } = await import('./adapters/s3/conditional-write.ts');
  const s3 = await openS3(repository, secrets, { timeoutMs });
  try {
    const path = leasePath(cluster, repository);
    return await openRegister(s3, path, await probeConditionalWrites(s3, path, signal), signal);
  } catch (thrown) {
    s3.close();
    throw thrown;
  }
}

/** Why the bucket that multiHost names cannot hold leases; undefined where it can, or none is named. Throws REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED. */
export async function probeSharedLeases(cluster: ClusterConfig, secrets: SecretContext): Promise<SpokeError | undefined> {
  if (cluster.multiHost === undefined) return undefined;
  const { repository } = sharedPlace(cluster);
  const { probeConditionalWrites } = await import('./adapters/s3/conditional-write.ts');
  const { withoutConditionalWrites } = await import('./adapters/s3/register.ts');
  const s3 = await openS3(repository, secrets);
  try {
    const can = await probeConditionalWrites(s3, leasePath(cluster, repository), secrets.signal);
    return can.kind === 'none' ? withoutConditionalWrites(s3.place, can.reason) : undefined;
  } finally {
    s3.close();
  }
}

function sharedPlace(cluster: ClusterConfig): { readonly repository: S3RepositoryConfig; readonly termMs: number } {
  const name = cluster.multiHost?.repository;
  const repository = cluster.repositories.find((one) => one.name === name);
  if (cluster.multiHost !== undefined && repository?.kind === 's3') return { repository, termMs: cluster.multiHost.leaseSeconds * 1000 };
  throw new SpokeError('CONFIG_INVALID', `multiHost of ${cluster.name} names no repository of kind s3`);
}

/** Beside what the engine keeps there, and by the stanza: clusters may share a path. */
function leasePath(cluster: ClusterConfig, { pathPrefix }: S3RepositoryConfig): string {
  return `${pathPrefix.replace(/^\//, '')}/spoke-backup/${cluster.stanza}/leases`.replace(/^\//, '');
}
