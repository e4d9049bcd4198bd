import type { ClusterRecord } from '../../../domain/native/cluster-record.ts';
import { CLUSTER_KEY, LAYOUT_VERSION } from '../../../domain/native/layout.ts';
import { formatClusterRecord } from '../../../domain/native/record-text.ts';
import { asSpokeError, SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { cancellable } from '../cancelled.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeRepository } from '../settings.ts';
import { findPrimary } from './source.ts';

/** Notes in every repository whose it is. One that is another cluster's is refused; where one fails the others are set up all the same. */
export async function createRepositories(parts: NativeParts, catalog: NativeCatalog, context: OperationContext): Promise<void> {
  const { settings } = parts;
  await cancellable(context.signal, async () => {
    const { server } = await findPrimary(parts, undefined, context);
    const wanted: ClusterRecord = {
      layoutVersion: LAYOUT_VERSION,
      cluster: settings.cluster,
      systemIdentifier: server.systemIdentifier,
      postgresMajor: server.postgresMajor,
      walSegmentBytes: server.walSegmentSizeBytes,
    };
    const failures: SpokeError[] = [];
    for (const repository of settings.repositories) {
      await createRepository(catalog, repository, wanted, context).catch((thrown: unknown) => failures.push(asSpokeError(thrown)));
    }
    const [first] = failures;
    if (first !== undefined) throw first;
  });
}

async function createRepository(
  catalog: NativeCatalog,
  repository: NativeRepository,
  wanted: ClusterRecord,
  { signal }: OperationContext,
): Promise<void> {
  const found = await catalog.readCluster(repository.name, signal);
  if (found === undefined) {
    const store = await repository.open();
    await store.write(CLUSTER_KEY, Buffer.from(formatClusterRecord(wanted)), signal);
    return;
  }
  const isSame = found.systemIdentifier === wanted.systemIdentifier && found.postgresMajor === wanted.postgresMajor;
  if (isSame && found.walSegmentBytes === wanted.walSegmentBytes) return;
  throw new SpokeError(
    'REFUSED_WRONG_CLUSTER',
    `repository ${repository.name} is of system identifier ${found.systemIdentifier} (PostgreSQL ${found.postgresMajor}, WAL segments of ${found.walSegmentBytes} bytes), the server has ${wanted.systemIdentifier} (PostgreSQL ${wanted.postgresMajor}, ${wanted.walSegmentBytes} bytes)`,
    { hint: 'Give the new cluster a repository of its own, for example by another path or stanza in the configuration.' },
  );
}
