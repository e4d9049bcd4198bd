import { type ClusterNode, nodeOf, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step } from '../../plan/step.ts';
import { stepsAfterPromotion } from '../change-primary/after.ts';
import type { ChangePrimaryFacts } from '../change-primary/facts.ts';
import { pauseSteps, requireBouncers } from '../change-primary/front.ts';
import type { SwitchoverIntent } from '../change-primary/intent.ts';
import { changeStep } from '../change-primary/step.ts';
import { checkpointBefore, passfileStep, promoteStep, stopStep } from '../change-primary/steps.ts';

/** How far a switchover has come, as its nodes show. */
export type SwitchoverPhase = 'both as before' | 'old primary stopped' | 'old primary started as a standby' | 'promoted';

/** Throws PLAN_STALE where the nodes are as no switchover of this kind leaves them, POSTGRES_UNAVAILABLE where one does not answer. */
export function phaseOf({ from, to, timeline }: SwitchoverIntent, topology: Topology): SwitchoverPhase {
  const [old, candidate] = [nodeOf(topology, from.node), nodeOf(topology, to)];
  if (old === undefined || candidate === undefined)
    throw new SpokeError('PLAN_STALE', `the configuration no longer has ${old === undefined ? from.node : to}`);
  const other = topology.primaries.find(({ node }) => node !== from.node && node !== to);
  if (other !== undefined) throw stale(`${other.node} is a primary now`);
  if (candidate.role === 'primary') {
    if (old.role === 'primary') throw stale(`${to} and ${from.node} are both primaries`);
    if (candidate.server.timeline <= timeline) throw stale(`${to} is a primary on timeline ${candidate.server.timeline}`);
    return 'promoted';
  }
  if (candidate.role !== 'standby') throw away(to, candidate.role);
  if (candidate.server.timeline !== timeline) throw stale(`${to} follows timeline ${candidate.server.timeline} now`);
  if (old.role === 'stopped') return 'old primary stopped';
  if (isStartedAsStandby(old, timeline)) return 'old primary started as a standby';
  if (old.role !== 'primary') throw away(from.node, old.role);
  if (old.server.timeline !== timeline) throw stale(`${from.node} is on timeline ${old.server.timeline} now`);
  return 'both as before';
}

/** By whoever starts what was stopped: it writes nothing, and is stopped once more. One that takes no connections shows it by its files. */
function isStartedAsStandby(old: ClusterNode, timeline: number): boolean {
  if (old.role === 'standby') return old.server.timeline === timeline;
  const { files } = old.facts;
  return old.role === 'unreachable' && files?.isRunning === true && files.hasStandbySignal && files.timeline === timeline;
}

function stale(why: string): SpokeError {
  return new SpokeError('PLAN_STALE', `${why}: nothing more is done`, { hint: 'See: spoke-backup status' });
}

function away(node: string, role: string): SpokeError {
  if (role === 'unreachable') return new SpokeError('POSTGRES_UNAVAILABLE', `${node} does not answer`);
  return stale(`${node} is ${role === 'stranger' ? 'of another cluster' : `a ${role} node`} now`);
}

/** The tail of the whole, from wherever it has come to. Pure. */
export function planSwitchover(intent: SwitchoverIntent, facts: ChangePrimaryFacts): Plan {
  const phase = phaseOf(intent, facts.topology);
  const pausedByPlan = phase === 'both as before';
  const stopsOldStandby = phase === 'old primary started as a standby';
  if (pausedByPlan) requireBouncers(facts);
  return {
    steps: [
      ...(phase === 'both as before' ? [...preparations(intent, facts), ...interruption(intent, facts)] : []),
      ...(stopsOldStandby ? [stopAgain(intent, facts)] : []),
      ...(phase === 'promoted' ? [] : promotion(intent, facts)),
      ...stepsAfterPromotion({ to: intent.to, from: intent.from, pausedByPlan, stopsOldStandby }, facts),
    ],
    warnings: warningsOf(intent, facts),
  };
}

/** While everybody still writes: whatever takes time, and whatever the old primary will need. */
function preparations({ from, to }: SwitchoverIntent, { follow, passfiles }: ChangePrimaryFacts): readonly Step[] {
  const settings = follow.get(from.node);
  const passfile = passfiles.get(from.node);
  return [
    ...(passfile === undefined ? [] : [passfileStep(passfile)]),
    ...(settings === undefined ? [] : [followLater(from.node, to, settings)]),
    checkpointBefore(from.node),
  ];
}

/** While it is a primary PostgreSQL does not look at these settings. */
function followLater(node: string, to: string, settings: Readonly<Record<string, string>>): Step {
  const words = {
    id: `configure-server ${node}`,
    title: `Say on ${node} that it shall follow ${to} once it is a standby`,
    reason: 'started again, it connects at once',
    probe: 'postgresql.auto.conf has it',
  };
  return changeStep(words, { kind: 'configure-server', node, role: 'primary', settings });
}

function interruption(
  { from, to, systemIdentifier, timeline }: SwitchoverIntent,
  { bouncers, limitMs }: ChangePrimaryFacts,
): readonly Step[] {
  return [
    ...pauseSteps({ bouncers }),
    changeStep(
      {
        id: 'confirm-roles',
        effect: 'read',
        title: `See once more that ${from.node} is the primary and ${to} a standby of the same cluster`,
        reason: 'roles are observed right before they change',
        probe: 'pg_is_in_recovery()',
        retry: 'never',
      },
      { kind: 'confirm-roles', primary: from.node, standby: to, systemIdentifier, timeline },
    ),
    stopStep(from, 'fast', 'a clean shutdown sends all of its WAL to its standbys first; who starts it again has a standby', limitMs),
  ];
}

function stopAgain({ from }: SwitchoverIntent, { limitMs }: ChangePrimaryFacts): Step {
  return stopStep(from, 'fast', 'somebody has started it again, as a standby: its WAL has to stand still', limitMs);
}

function promotion({ from, to, systemIdentifier, timeline }: SwitchoverIntent, { topology, limitMs }: ChangePrimaryFacts): readonly Step[] {
  const others = topology.nodes.map(({ node }) => node).filter((node) => node !== to);
  return [
    changeStep(
      {
        id: 'await-replay',
        effect: 'read',
        title: `Wait until ${to} has replayed the shutdown checkpoint of ${from.node}`,
        reason: 'then nothing that was committed is lost',
        probe: 'pg_last_wal_replay_lsn() is past the checkpoint in pg_control',
        timeoutMs: limitMs,
      },
      { kind: 'await-replay', node: to, stopped: from, timeline },
    ),
    promoteStep({ to, systemIdentifier, timeline, fences: [{ kind: 'stopped', server: from }], others, handedOverBy: from, limitMs }),
  ];
}

function warningsOf({ to }: SwitchoverIntent, { topology, follow, bouncers }: ChangePrimaryFacts): readonly string[] {
  const away = topology.nodes.filter(({ role }) => role === 'unreachable' || role === 'stranger');
  const unknown = topology.standbys.filter(({ node }) => node !== to && !follow.has(node));
  return [
    ...away.map(({ node }) => `${node} cannot be told of the new primary: once it is back, spoke-backup setup replica ${node}`),
    ...unknown.map(({ node }) => `the data directory of ${node} is not known, so it is not told of the new primary`),
    ...bouncers.flatMap(({ warnings }) => warnings),
    ...bouncers.filter(({ unreachable }) => unreachable !== undefined).map(({ name }) => `PgBouncer ${name} does not answer`),
  ];
}
