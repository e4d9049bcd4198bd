import type { BackupType, BaseBackup } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import { hasPastWindow } from '../../domain/retention/base.ts';
import { withRun } from '../../engine/execute-run.ts';
import type { PlanOutcome } from '../../engine/run-plan.ts';
import { backupWorkflow } from '../../engine/simple-workflows.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import { type BackupIntent, backupOfRun, observeBackup, planBackup, reasonAgainstBackup } from '../../workflows/backup/plan.ts';
import { observeRepositories, type RepositoryObservations } from '../../workflows/observe-cluster.ts';
import { execute } from '../execute.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { backupToJson, type EngineOf, enginesOf, renderBackups } from '../render/backups.ts';
import { type ExpiryResult, renderExpiry } from '../render/expire.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, repositoryNamed, type Session } from '../session.ts';
import type { RunHeader, RunId } from '../../ports/run-store.ts';

export interface BackupOptions extends ChangingOptions {
  readonly type: string;
  readonly repo: string;
  readonly expire?: boolean;
}

/** `spoke-backup backup` */
export async function backupCommand(options: BackupOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const intent: BackupIntent = {
    cluster: session.cluster.name,
    type: parseBackupType(options.type),
    repositories:
      options.repo === 'all'
        ? session.cluster.repositories.map((repository) => repository.name)
        : [repositoryNamed(session.cluster, options.repo)],
  };
  const runId = session.newRunId('backup');
  const atMs = session.ports.clock.monotonicMs();
  const facts = await observeBackup(session.cluster, intent, session.ports, { signal: context.signal });
  const refusal = reasonAgainstBackup(intent, facts);
  if (refusal !== undefined) throw refusal;
  if (options.dryRun === true) {
    const plan = planBackup(intent, facts, runId);
    const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, { signal: context.signal });
    context.output.result({ dryRun: true, plan: planToJson(plan, handlers) }, () => renderPlan(plan, handlers, { full: true }));
    return;
  }
  const header = newRunHeader(session, 'backup', intent, context.version, runId);
  await runBackup(header, session, context, { thenExpire: options.expire === true, observed: { facts, atMs } });
}

/** The backup was looked for in the catalogue when it had been taken: that need not be done twice. */
const SEEN_MS = 1_000;

/** What was seen before the run, and when it was begun to look. */
type Observed = Parameters<typeof backupWorkflow>[2];

/** What a backup run came to. */
export interface BackupResult {
  readonly run: RunId;
  readonly taken: readonly BaseBackup[];
  readonly failures: readonly { readonly repository: string; readonly code: string; readonly message: string }[];
  /** As the repositories were afterwards. */
  readonly snapshots: readonly RepositorySnapshot[];
}

/** Runs or resumes a backup run and prints what came of it. */
export async function runBackup(
  header: RunHeader,
  session: Session,
  context: CommandContext,
  { thenExpire = false, observed }: { readonly thenExpire?: boolean; readonly observed?: Observed } = {},
): Promise<void> {
  const result = await takeBackups(header, session, context, observed);
  if (result.failures.length > 0) context.output.exitCode = 3;
  const expiry = thenExpire && result.taken.length > 0 ? await expireAfter(result.taken, session, context) : undefined;
  if (expiry === undefined && isExpiryDue(result.snapshots, session))
    context.output.say('Some backups are older than they need to be kept: spoke-backup expire --explain');
  const engineOf = enginesOf(session.cluster);
  context.output.result({ ...backupResultToJson(result, engineOf), ...(expiry === undefined ? {} : { expiry }) }, () =>
    [renderBackupResult(result, engineOf), ...(expiry === undefined ? [] : [renderExpiry(expiry)])].join('\n'),
  );
}

/** Runs or resumes a backup run. Throws where no backup was taken. */
export async function takeBackups(
  header: RunHeader,
  session: Session,
  context: CommandContext,
  observed?: Observed,
): Promise<BackupResult> {
  const intent = header.intent as BackupIntent;
  const outcome = await execute(backupWorkflow(session.cluster, session.ports, observed), header, session, context);
  const options = { walArchive: false, maxAgeMs: SEEN_MS };
  const repositories = await observeRepositories(session.cluster, intent.repositories, options, session.ports, { signal: context.signal });
  const taken = repositories.snapshots.flatMap((snapshot) => backupOfRun(snapshot, header.runId) ?? []);
  const failures = failuresOf(outcome, repositories);
  const [first] = outcome.failures;
  if (taken.length === 0 && first !== undefined) throw withRun(first.error, header.runId);
  if (failures.length > 0) context.output.warn(`not in every repository; once that is mended: spoke-backup runs resume ${header.runId}`);
  return { run: header.runId, taken, failures, snapshots: repositories.snapshots };
}

export function backupResultToJson({ run, taken, failures }: BackupResult, engineOf: EngineOf) {
  return { run, backups: taken.map((backup) => backupToJson(backup, engineOf)), failures };
}

export function renderBackupResult({ taken, failures }: BackupResult, engineOf: EngineOf): string {
  return [renderBackups(taken, engineOf), ...failures.map((failure) => `${failure.repository}: ${failure.message}`)].join('\n');
}

/** Whatever becomes of the expiry, the backup is there: undefined, and a finding, where it could not be carried out. */
async function expireAfter(taken: readonly BaseBackup[], session: Session, context: CommandContext): Promise<ExpiryResult | undefined> {
  const { expireIn } = await import('./expire.ts');
  const repositories = taken.map(({ repository }) => repository);
  try {
    return await expireIn(repositories, session, context);
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    context.output.exitCode = 3;
    context.output.warn(`the backup is there, but nothing was expired: ${asSpokeError(thrown).message}`);
    return undefined;
  }
}

function isExpiryDue(snapshots: readonly RepositorySnapshot[], { cluster, ports }: Session): boolean {
  const now = ports.clock.now();
  return snapshots.some(({ repository, backups }) =>
    cluster.repositories.some(({ name, retention }) => name === repository && hasPastWindow(backups, now, retention.days)),
  );
}

/** One a repository: what kept the backup out of it, or why it cannot be seen there. */
function failuresOf(outcome: PlanOutcome, { unreadable }: RepositoryObservations) {
  const failed = outcome.failures.map(({ step, error }) => ({
    repository: step.kind === 'take-backup' ? step.repository : '',
    code: error.code,
    message: error.message,
  }));
  const unseen = unreadable.filter(({ repository }) => !failed.some((failure) => failure.repository === repository));
  return [...failed, ...unseen.map(({ repository, errorCode, message }) => ({ repository, code: errorCode, message }))];
}

function parseBackupType(text: string): BackupType {
  if (text === 'full' || text === 'diff' || text === 'incr') return text;
  throw new SpokeError('USAGE', `--type ${text}: there are full, diff and incr`, { hint: 'For example: spoke-backup backup --type full' });
}
