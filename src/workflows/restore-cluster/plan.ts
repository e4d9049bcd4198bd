import type { DirectoryFacts } from '../../ports/instance.ts';
import type { Plan, Step } from '../../plan/step.ts';
import { stepsAfterPromotion } from '../change-primary/after.ts';
import type { ChangePrimaryFacts } from '../change-primary/facts.ts';
import { pauseStep } from '../change-primary/steps.ts';
import { planReseed } from '../reseed/plan.ts';
import type { RestoreIntent, StandbyOfRestore } from '../restore/intent.ts';
import { planRestore } from '../restore/plan.ts';
import type { RestoreClusterFacts } from './facts.ts';
import { idFor } from './stages.ts';

const TEN_MINUTES_MS = 600_000;

/**
 * What remains of the stage that the run is in. Pure. First the primary: everything beside is done while the cluster serves; then clients are
 * held, the standbys and the primary stopped, the data swapped, and clients let go on with the primary alone. Then one standby after the
 * other, each by the way that was decided when its turn came: one that is back can be what the next is copied from.
 */
export function planRestoreCluster(intent: RestoreIntent, facts: RestoreClusterFacts, runId: string): Plan {
  if (!facts.stages.primaryIsBack) return planPrimary(intent, facts, runId);
  const plans = facts.seeding.map(({ intent: reseed, progress }) => ({ node: reseed.node, plan: planReseed(reseed, progress, runId) }));
  return {
    steps: plans.flatMap(({ node, plan }) => plan.steps.map((step) => ({ ...step, id: idFor(node, step.id) }))),
    warnings: plans.flatMap(({ plan }) => plan.warnings),
  };
}

/** The restore of the one node, with what concerns the others at the two places where it begins and ends to be away. */
function planPrimary(intent: RestoreIntent, { restore, front, standbys }: RestoreClusterFacts, runId: string): Plan {
  const { steps, warnings } = planRestore(intent, restore, runId);
  const isServing = restore.destination.running !== undefined;
  const goes = steps.findIndex(({ kind }) => kind === 'stop-server' || kind === 'swap-data-directory');
  const back = steps.findIndex(({ kind }) => kind === 'confirm-restored') + 1;
  const isToGo = goes >= 0 && isServing;
  const pauses = isToGo && front !== undefined ? pauseSteps(front) : [];
  const stops = isToGo ? stopSteps(intent, standbys) : [];
  const served = { to: intent.inPlaceNode ?? '', pausedByPlan: isToGo, hasCheckpoint: true };
  const after = front === undefined ? [] : stepsAfterPromotion(served, front);
  const until = goes < 0 ? 0 : goes;
  return {
    steps: [...steps.slice(0, until), ...pauses, ...stops, ...steps.slice(until, back), ...after, ...steps.slice(back)],
    warnings: [...warnings, ...silentBouncers(front)],
  };
}

function pauseSteps({ bouncers }: ChangePrimaryFacts): readonly Step[] {
  return bouncers.filter(({ databases, paused }) => databases.some((one) => !paused.includes(one))).map(pauseStep);
}

function silentBouncers(front: ChangePrimaryFacts | undefined): readonly string[] {
  const silent = front?.bouncers.filter(({ unreachable }) => unreachable !== undefined) ?? [];
  return silent.map(({ name, unreachable }) => `PgBouncer ${name} does not answer and is not paused: ${unreachable ?? ''}`);
}

/** While the primary still is one: whether they are its standbys is looked at right before. Those that run later are stopped when they are seeded. */
function stopSteps(intent: RestoreIntent, found: RestoreClusterFacts['standbys']): readonly Step[] {
  const running = (intent.standbys ?? []).filter(({ server }) => runsThere(found.get(server.node), server.identity));
  return running.map((standby) => stopStep(standby, intent));
}

function runsThere(directory: DirectoryFacts | undefined, identity: string): boolean {
  return directory?.running !== undefined && directory.identity === identity;
}

function stopStep({ server, owner }: StandbyOfRestore, { inPlaceNode }: RestoreIntent): Step {
  const { node, dataDirectory, identity, systemIdentifier, postgresMajor, service } = server;
  return {
    id: idFor(node, 'stop-standby'),
    effect: 'destructive',
    title: `Stop ${node}`,
    reason: 'what it shows is about to have never been; it is seeded again once the primary is back',
    probe: 'no server runs on its data directory',
    timeoutMs: TEN_MINUTES_MS,
    retry: 'never',
    onFailure: 'stop',
    on: node,
    kind: 'stop-standby',
    standby: { node, dataDirectory, identity, systemIdentifier, primary: inPlaceNode ?? '' },
    ...{ postgresMajor, owner, service },
  };
}

/** What a plan cannot hold yet since it is decided later, for people. */
export function laterStages({ standbys = [], inPlaceNode, thenBackup }: RestoreIntent): readonly string[] {
  return [
    ...standbys.map(
      ({ server: { node } }) =>
        `Seed ${node} by the cheapest of pg_rewind, delta, a backup and pg_basebackup, chosen once ${String(inPlaceNode)} serves on its new ` +
        `timeline; with a slot of its own; wait until it streams; then PgBouncer and the endpoints name it again`,
    ),
    ...(thenBackup === true ? [`Have ${String(inPlaceNode)} archive, and take a backup of the new timeline: runs of their own`] : []),
  ];
}
