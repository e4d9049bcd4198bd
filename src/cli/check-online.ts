import { probeSharedLeases } from '../composition-leases.ts';
import { openObjectStoreOf } from '../composition-stores.ts';
import type { Finding } from '../config/check.ts';
import type { ClusterConfig, Configuration, S3RepositoryConfig } from '../config/model.ts';
import type { SecretContext } from '../config/resolve-secret.ts';
import { checkServers } from './check-servers.ts';
import { addMicros, instantOfMillis } from '../domain/time/instant.ts';
import { asSpokeError, type SpokeError } from '../errors.ts';

const DAY_MICROS = 86_400_000_000n;

/** What only servers and services can say: whether they are fit for what is to be done, each bucket is reached, what is left over in it. */
export async function checkOnline(configuration: Configuration, secrets: SecretContext): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const cluster of configuration.clusters.values()) {
    const path = `clusters.${cluster.name}`;
    findings.push(
      ...(await checkLeases(cluster, `${path}.multiHost`, secrets)),
      ...(await checkServers(configuration, cluster, path, secrets)),
    );
    for (const repository of cluster.repositories)
      if (repository.kind === 's3')
        findings.push(...(await checkBucket(repository, `${path}.repositories[${repository.index - 1}]`, secrets)));
  }
  return findings;
}

async function checkLeases(cluster: ClusterConfig, path: string, secrets: SecretContext): Promise<readonly Finding[]> {
  const fault = await probeSharedLeases(cluster, secrets).catch((thrown: unknown) => faultOf(thrown, secrets));
  return fault === undefined ? [] : [{ severity: 'error', path, message: fault.message, hint: fault.hint }];
}

async function checkBucket(repository: S3RepositoryConfig, path: string, secrets: SecretContext): Promise<readonly Finding[]> {
  try {
    const store = await openObjectStoreOf(repository, secrets);
    try {
      const before = addMicros(instantOfMillis(Date.now()), -DAY_MICROS);
      const uploads = await store.listMultipartUploads(repository.pathPrefix.replace(/^\//, ''), before, secrets.signal);
      return uploads.length === 0 ? [] : [leftOver(repository, path, uploads.length)];
    } finally {
      store.close();
    }
  } catch (thrown) {
    const { message, hint } = faultOf(thrown, secrets);
    return [{ severity: 'error', path, message, hint }];
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
