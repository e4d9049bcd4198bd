import { probeSharedLeases } from '../composition-leases.ts';
import { openObjectStoreOf, tryBucketOf } from '../composition-stores.ts';
import type { Finding } from '../config/check.ts';
import type { ClusterConfig, Configuration, S3RepositoryConfig } from '../config/model.ts';
import type { SecretContext } from '../config/resolve-secret.ts';
import { type Checked, judgeTrial, type Note } from './check-bucket.ts';
import { checkHosts } from './check-hosts.ts';
import { checkServers } from './check-servers.ts';
import { addMicros, instantOfMillis } from '../domain/time/instant.ts';
import { asSpokeError, type SpokeError } from '../errors.ts';

const DAY_MICROS = 86_400_000_000n;

/** Also of which version this program is. */
type OnlineContext = SecretContext & { readonly version: string };

/** What only servers, hosts and services can say: whether they are fit for what is to be done, each bucket is reached, what is left over in it. */
export async function checkOnline(configuration: Configuration, secrets: OnlineContext): Promise<Checked> {
  const findings: Finding[] = [];
  const notes: Note[] = [];
  for (const cluster of configuration.clusters.values()) {
    const path = `clusters.${cluster.name}`;
    findings.push(
      ...(await checkLeases(cluster, `${path}.multiHost`, secrets)),
      ...(await checkServers(configuration, cluster, path, secrets)),
    );
    const hosts = await checkHosts(configuration, cluster, path, secrets);
    findings.push(...hosts.findings);
    notes.push(...hosts.notes);
    for (const repository of cluster.repositories) {
      if (repository.kind !== 's3') continue;
      const found = await checkBucket(cluster, repository, `${path}.repositories[${repository.index - 1}]`, secrets);
      findings.push(...found.findings);
      notes.push(...found.notes);
    }
  }
  return { findings, notes };
}

async function checkLeases(cluster: ClusterConfig, path: string, secrets: SecretContext): Promise<readonly Finding[]> {
  const fault = await probeSharedLeases(cluster, secrets).catch((thrown: unknown) => faultOf(thrown, secrets));
  return fault === undefined ? [] : [{ severity: 'error', path, message: fault.message, hint: fault.hint }];
}

async function checkBucket(cluster: ClusterConfig, repository: S3RepositoryConfig, path: string, secrets: SecretContext): Promise<Checked> {
  try {
    const leftOvers = await countLeftOvers(repository, secrets);
    const { findings, notes } = judgeTrial(repository, path, await tryBucketOf(cluster, repository, secrets));
    return { findings: [...(leftOvers === 0 ? [] : [leftOver(repository, path, leftOvers)]), ...findings], notes };
  } catch (thrown) {
    return { findings: [await faultOfBucket(faultOf(thrown, secrets), { cluster, repository, path }, secrets)], notes: [] };
  }
}

async function countLeftOvers(repository: S3RepositoryConfig, secrets: SecretContext): Promise<number> {
  const store = await openObjectStoreOf(repository, secrets);
  try {
    const before = addMicros(instantOfMillis(Date.now()), -DAY_MICROS);
    return (await store.listMultipartUploads(repository.pathPrefix.replace(/^\//, ''), before, secrets.signal)).length;
  } finally {
    store.close();
  }
}

/** Additional checksums and encryption are what services refuse that know the rest: whether that is it, trying without them tells. */
async function faultOfBucket(
  { message, hint, details }: SpokeError,
  { cluster, repository, path }: { readonly cluster: ClusterConfig; readonly repository: S3RepositoryConfig; readonly path: string },
  secrets: SecretContext,
): Promise<Finding> {
  const isAnswer = typeof details['httpStatus'] === 'number';
  for (const { key, what, without, advice } of isAnswer ? dispensable(repository) : []) {
    if (!(await isFit(cluster, without, secrets))) continue;
    const refused = `the service refuses ${what}, and takes what has none: ${message}`;
    return { severity: 'error', path: `${path}.${key}`, message: refused, hint: advice };
  }
  return { severity: 'error', path, message, hint };
}

interface Dispensable {
  readonly key: string;
  readonly what: string;
  /** The repository as it would be without it. */
  readonly without: S3RepositoryConfig;
  readonly advice: string;
}

function dispensable(repository: S3RepositoryConfig): readonly Dispensable[] {
  const { serverSideEncryption, ...plain } = repository;
  const checksums: Dispensable = {
    ...{ key: 'checksums', what: 'additional checksums', without: { ...repository, checksums: 'when_required' } },
    advice: 'Set checksums: when_required',
  };
  const encryption: Dispensable = {
    ...{ key: 'serverSideEncryption', what: `encryption with ${serverSideEncryption?.type}`, without: plain },
    advice: 'Look whether it supports that, whether there is such a key, and whether these credentials may use it.',
  };
  return [...(repository.checksums === 'auto' ? [checksums] : []), ...(serverSideEncryption === undefined ? [] : [encryption])];
}

async function isFit(cluster: ClusterConfig, repository: S3RepositoryConfig, secrets: SecretContext): Promise<boolean> {
  try {
    await tryBucketOf(cluster, repository, secrets);
    return true;
  } catch {
    return false;
  }
}

function leftOver({ bucket }: S3RepositoryConfig, path: string, count: number): Finding {
  const message = `the bucket ${bucket} holds ${count} uploads that were begun more than a day ago and never completed: they cost and nobody sees them`;
  return {
    severity: 'warning',
    path,
    message,
    hint: 'Have the service abort incomplete uploads after some days, by a lifecycle rule of the bucket.',
  };
}

function faultOf(thrown: unknown, { signal }: SecretContext): SpokeError {
  if (signal.aborted) throw thrown;
  return asSpokeError(thrown);
}
