import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { Schedule, ScheduleKind } from '../domain/schedule/schedule.ts';
import type { RunTrigger } from '../domain/schedule/trigger.ts';
import { backupWorkflow } from '../engine/simple-workflows.ts';
import { SpokeError } from '../errors.ts';
import { type BackupIntent, observeBackup } from '../workflows/backup/plan.ts';
import type { Plan } from '../plan/step.ts';
import type { RunHeader } from '../ports/run-store.ts';
import type { VerifyIntent } from '../workflows/verify/plan.ts';
import type { CommandContext } from './command-context.ts';
import { backupResultToJson, renderBackupResult, takeBackups } from './commands/backup.ts';
import { expireIn, planExpireIn } from './commands/expire.ts';
import { planVerify, verifyRepositories } from './commands/verify.ts';
import { enginesOf } from './render/backups.ts';
import { renderExpiry } from './render/expire.ts';
import { planToJson, renderPlan } from './render/plan.ts';
import { newRunHeader, type Session } from './session.ts';
import type { WorkReport } from './work-report.ts';

/** One run of a schedule: in one repository, or a backup into several where one reading of the database serves all of them. */
export interface ScheduledWork {
  readonly schedule: Schedule;
  readonly repositories: readonly RepositoryName[];
  readonly trigger: RunTrigger;
}

interface Worker {
  /** What would be done; changes nothing. */
  preview(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport>;
  /** Throws the error that ended the run. */
  run(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport>;
}

/** Who does the work of schedules of each kind. */
export const WORKERS: Readonly<Record<ScheduleKind, Worker>> = {
  backup: { preview: previewBackup, run: runScheduledBackup },
  expire: { preview: previewExpire, run: runScheduledExpire },
  verify: { preview: previewVerify, run: runScheduledVerify },
  drill: notThereYet('drill'),
};

async function previewBackup(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport> {
  const intent = backupIntent(work, session);
  const facts = await observeBackup(session.cluster, intent, session.ports, { signal: context.signal });
  const plan = backupWorkflow(session.cluster, session.ports).plan(intent, facts, session.newRunId('backup'));
  return planReport(plan, session);
}

function planReport(plan: Plan, { handlers }: Session): WorkReport {
  return { document: { plan: planToJson(plan, handlers) }, text: renderPlan(plan, handlers, { full: true }), isPartial: false };
}

async function runScheduledBackup(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport> {
  const intent = backupIntent(work, session);
  const header = newRunHeader(session, 'backup', intent, context.version, session.newRunId('backup'), work.trigger);
  const result = await takeBackups(header, session, context);
  const engineOf = enginesOf(session.cluster);
  return {
    document: backupResultToJson(result, engineOf),
    text: renderBackupResult(result, engineOf),
    isPartial: result.failures.length > 0,
  };
}

function backupIntent({ schedule, repositories }: ScheduledWork, session: Session): BackupIntent {
  return { cluster: session.cluster.name, type: schedule.type ?? 'incr', repositories };
}

async function previewExpire({ repositories }: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport> {
  return planReport(await planExpireIn(repositories, session, context), session);
}

async function runScheduledExpire(
  { repositories, trigger }: ScheduledWork,
  session: Session,
  context: CommandContext,
): Promise<WorkReport> {
  const result = await expireIn(repositories, session, context, trigger);
  return { document: { ...result }, text: renderExpiry(result), isPartial: result.findings.length > 0 };
}

async function previewVerify(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport> {
  return planReport(await planVerify(verifyHeader(work, session, context), session, context), session);
}

function runScheduledVerify(work: ScheduledWork, session: Session, context: CommandContext): Promise<WorkReport> {
  return verifyRepositories(verifyHeader(work, session, context), session, context);
}

function verifyHeader({ repositories, trigger }: ScheduledWork, session: Session, { version }: CommandContext): RunHeader {
  const intent: VerifyIntent = { cluster: session.cluster.name, repositories };
  return newRunHeader(session, 'verify', intent, version, session.newRunId('verify'), trigger);
}

function notThereYet(kind: ScheduleKind): Worker {
  const refuse = () =>
    Promise.reject(
      new SpokeError('REFUSED_PRECONDITION', `schedules of kind ${kind} cannot be run by this version`, {
        hint: 'See: spoke-backup schedule list',
      }),
    );
  return { preview: refuse, run: refuse };
}
