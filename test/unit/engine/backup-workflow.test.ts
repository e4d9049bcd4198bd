import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { backupWorkflow } from '../../../src/engine/simple-workflows.ts';
import type { StoredRun } from '../../../src/ports/run-store.ts';
import { type BackupIntent, observeBackup } from '../../../src/workflows/backup/plan.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { header, RUN_ID } from './machinery.ts';

const intent: BackupIntent = { cluster: 'main', type: 'full', repositories: ['local' as RepositoryName] };

/** What a run looks at that was begun `laterMs` after its command had looked, at its nth attempt. */
async function observedBy({ laterMs, attempts }: { readonly laterMs: number; readonly attempts: number }) {
  const built = buildCluster({ repositories: 1 });
  const ports = fakePorts(new FakeProcess(built.world), built.cluster);
  const context = { signal: new AbortController().signal };
  const atMs = ports.clock.monotonicMs();
  const facts = await observeBackup(built.cluster, intent, ports, context);
  built.world.advance(laterMs);
  const entries = Array.from({ length: attempts }, () => ({ at: ports.clock.now(), kind: 'attempt' as const, pid: 1, detail: {} }));
  const run: StoredRun = { header: { ...header(intent), runId: RUN_ID, verb: 'backup' }, entries };
  return { before: facts, seen: await backupWorkflow(built.cluster, ports, { facts, atMs }).observe(intent, run, context) };
}

describe('a backup run', () => {
  it('goes by what its command has just seen', async () => {
    const { before, seen } = await observedBy({ laterMs: 1_000, attempts: 1 });
    expect(seen).toBe(before);
  });

  it('looks again where it had to wait for its turn', async () => {
    const { before, seen } = await observedBy({ laterMs: 1_001, attempts: 1 });
    expect(seen).not.toBe(before);
    expect(seen.repositories.snapshots.map(({ repository }) => repository)).toEqual(['local']);
  });

  it('looks for the backup of an earlier attempt in any case', async () => {
    const { before, seen } = await observedBy({ laterMs: 0, attempts: 2 });
    expect(seen).not.toBe(before);
  });
});
