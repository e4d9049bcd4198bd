import type { ClusterConfig } from '../config/model.ts';
import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StoredRun } from '../ports/run-store.ts';
import {
  type BackupFacts,
  type BackupIntent,
  backupOfRun,
  observeBackup,
  planBackup,
  reasonAgainstBackup,
} from '../workflows/backup/plan.ts';
import { type ExpireFacts, type ExpireIntent, observeExpire } from '../workflows/expire/facts.ts';
import { planExpire } from '../workflows/expire/plan.ts';
import { observePin, type PinFacts, type PinIntent, planPin } from '../workflows/pin/plan.ts';
import {
  observeSetupArchiving,
  planSetupArchiving,
  type SetupArchivingFacts,
  type SetupArchivingIntent,
} from '../workflows/setup-archiving/plan.ts';
import type { SetupIntent } from '../workflows/setup-cluster/intent.ts';
import { observeSetup, planSetup, type SetupFacts } from '../workflows/setup-cluster/plan.ts';
import { observeVerify, planVerify, reasonAgainstVerify, type VerifyFacts, type VerifyIntent } from '../workflows/verify/plan.ts';
import type { Workflow } from './execute-run.ts';

/** As long as taking a lease takes that nobody else has. */
const RECENT_MS = 1_000;

/**
 * Taking backups, as the engine runs it. A new run need not look again at what was `observed` right before it: it has no backup
 * anywhere yet, and pgBackRest itself asks the server and its catalogue once more before it begins.
 */
export function backupWorkflow(
  cluster: ClusterConfig,
  ports: ReadPorts,
  observed?: { readonly facts: BackupFacts; readonly atMs: number },
): Workflow<BackupIntent, BackupFacts> {
  return {
    title: 'backup',
    claim: async ({ repositories }, context) => ({
      verb: 'backup',
      repositories: await lockedRepositories(cluster, repositories, ports, context),
    }),
    observe: async (intent, run, context) =>
      observed !== undefined && isFirstAttempt(run) && ports.clock.monotonicMs() - observed.atMs <= RECENT_MS
        ? observed.facts
        : observeBackup(cluster, intent, ports, context),
    // Resumed, it takes those that are still missing.
    outcomeOf: ({ repositories }, { failures }) => (failures.length > 0 || repositories.unreadable.length > 0 ? 'failed' : 'succeeded'),
    plan: (intent, facts, runId) => {
      const plan = planBackup(intent, facts, runId);
      const { snapshots } = facts.repositories;
      const isDone = snapshots.length > 0 && snapshots.every((snapshot) => backupOfRun(snapshot, runId) !== undefined);
      const refusal = isDone ? undefined : reasonAgainstBackup(intent, facts);
      if (refusal !== undefined) throw refusal;
      return plan;
    },
  };
}

/** What an earlier attempt has left may have ended only now. */
function isFirstAttempt({ entries }: StoredRun): boolean {
  return entries.filter(({ kind }) => kind === 'attempt').length <= 1;
}

/** Those that the engine keeps others from while it writes into `repositories`. */
export async function lockedRepositories(
  cluster: ClusterConfig,
  repositories: readonly RepositoryName[],
  { catalog }: Pick<ReadPorts, 'catalog'>,
  context: OperationContext,
): Promise<readonly string[]> {
  const others = cluster.repositories.filter(({ name }) => !repositories.includes(name));
  const locked = await Promise.all(
    others.map(async ({ engine }) => {
      const beside = cluster.repositories.find((one) => one.engine === engine && repositories.includes(one.name));
      return beside !== undefined && (await catalog.readVersion(beside.name, context)).locksWholeStanza === true;
    }),
  );
  return [...repositories, ...others.flatMap(({ name }, index) => (locked[index] === true ? [name] : []))];
}

/** Letting go of what is no longer needed, as the engine runs it. */
export function expireWorkflow(cluster: ClusterConfig, ports: ReadPorts): Workflow<ExpireIntent, ExpireFacts> {
  return {
    title: 'expire',
    claim: async ({ repositories }, context) => ({
      verb: 'expire',
      repositories: await lockedRepositories(cluster, repositories, ports, context),
    }),
    observe: (intent, _run, context) => observeExpire(cluster, intent, ports, context),
    plan: planExpire,
    outcomeOf: ({ unreadable }, { failures }) => (failures.length > 0 || unreadable.length > 0 ? 'failed' : 'succeeded'),
  };
}

/** Pinning and unpinning, as the engine runs it. A backup that is under way does not hold it up: it keeps off other pins alone. */
export function pinWorkflow(cluster: ClusterConfig, ports: ReadPorts): Workflow<PinIntent, PinFacts> {
  return {
    title: 'pin',
    claim: ({ repositories }) => ({ verb: 'pin', repositories }),
    observe: (intent, _run, context) => observePin(cluster, intent, ports, context),
    plan: planPin,
    outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded'),
  };
}

/** Setting up the archive, as the engine runs it. */
export function setupArchivingWorkflow(
  cluster: ClusterConfig,
  ports: ReadPorts & WritePorts,
): Workflow<SetupArchivingIntent, SetupArchivingFacts> {
  return {
    title: 'setup archiving',
    claim: () => ({ verb: 'setup', repositories: cluster.repositories.map(({ name }) => name) }),
    observe: async (_intent, _run, context) =>
      observeSetupArchiving(cluster, ports.engine, await ports.catalog.isConfigurationCurrent(), ports, context),
    plan: (intent, facts) => planSetupArchiving(intent, facts),
  };
}

/** Setting up servers and what stands in front of them, as the engine runs it. */
export function setupWorkflow(cluster: ClusterConfig, ports: ReadPorts & WritePorts): Workflow<SetupIntent, SetupFacts> {
  return {
    title: 'setup',
    claim: () => ({ verb: 'setup', repositories: cluster.repositories.map(({ name }) => name) }),
    observe: (intent, _run, context) => observeSetup(cluster, intent, ports.engine, ports, context),
    plan: (intent, facts) => planSetup(intent, facts),
  };
}

/** Reading back what is stored, as the engine runs it. */
export function verifyWorkflow(cluster: ClusterConfig, ports: ReadPorts): Workflow<VerifyIntent, VerifyFacts> {
  return {
    title: 'verify',
    claim: ({ repositories }) => ({ verb: 'verify', repositories }),
    observe: (intent, run, context) => observeVerify(cluster, intent, run, ports, context),
    outcomeOf: ({ repositories }, { failures }) => (failures.length > 0 || repositories.unreadable.length > 0 ? 'failed' : 'succeeded'),
    plan: (intent, facts) => {
      const refusal = reasonAgainstVerify(intent, facts);
      if (refusal !== undefined) throw refusal;
      return planVerify(facts);
    },
  };
}
