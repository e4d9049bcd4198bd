import type { ClusterConfig } from '../config/model.ts';
import type { SystemIdentifier } from '../domain/postgres/system-identifier.ts';
import { nodeOf, type Topology } from '../domain/topology/topology.ts';
import { SpokeError } from '../errors.ts';
import { changeStep } from '../workflows/change-primary/step.ts';
import { resumeStep } from '../workflows/change-primary/steps.ts';
import { observeTopology } from '../workflows/observe-topology.ts';
import { decideRejoin } from '../workflows/rejoin/decide.ts';
import type { ReseedIntent } from '../workflows/reseed/intent.ts';
import { observeForReseed } from '../workflows/reseed/observe.ts';
import { failedCandidates } from '../workflows/restore/facts.ts';
import { confirmStep, startRestoredStep } from '../workflows/restore/steps.ts';
import { isStandby } from '../workflows/restore-cluster/decide.ts';
import { observeFrontAlone, observeRestoreCluster, type RestoreClusterFacts } from '../workflows/restore-cluster/facts.ts';
import { planRestoreCluster } from '../workflows/restore-cluster/plan.ts';
import { idFor, PRIMARY_IS_BACK, STANDBY_DECIDED, STANDBY_IS_BACK, stagesOf } from '../workflows/restore-cluster/stages.ts';
import type { RestoreIntent, StandbyOfRestore } from '../workflows/restore/intent.ts';
import { instanceOf } from '../workflows/hosts.ts';
import type { Step } from '../plan/step.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { StoredRun } from '../ports/run-store.ts';
import type { RunNote, Workflow } from './execute-run.ts';
import { createStepHandlers } from './handlers/index.ts';
import { runWhereItBelongs, withHosts } from './on-hosts.ts';
import { restoreWorkflow } from './restore-workflow.ts';

type Ports = ReadPorts & WritePorts;

/** Restoring a primary in place with all that follows it, as the engine runs it. */
export function restoreClusterWorkflow(cluster: ClusterConfig, ports: Ports): Workflow<RestoreIntent, RestoreClusterFacts> {
  const ofNode = restoreWorkflow(ports);
  return {
    title: 'restore',
    claim: ({ dataDirectory }) => ({
      verb: 'restore-in-place',
      repositories: cluster.repositories.map(({ name }) => name),
      dataDirectory,
    }),
    observe: (intent, run, context) => observeRestoreCluster(cluster, intent, run, ports, context),
    plan: planRestoreCluster,
    whatFollows: (intent, run, context) => whatFollows(cluster, intent, run, ports, context),
    otherWay: (intent, { stages, restore }, error) => (stages.primaryIsBack ? undefined : ofNode.otherWay?.(intent, restore, error)),
    async cleanUp(intent, error, context, runId) {
      try {
        // Whoever has the lease now decides what becomes of it.
        if (error.code !== 'LEASE_LOST') await serveAsBefore(cluster, intent, await ports.runs.read(runId), ports, context);
      } finally {
        await ofNode.cleanUp?.(intent, error, context, runId);
      }
    },
    reasonAgainstAbandoning: async (intent, run, context) => ofNode.reasonAgainstAbandoning?.(intent, run, context),
    async abandon(intent, run, context) {
      await startPrimaryAgain(cluster, intent, run, ports, context);
      await serveAsBefore(cluster, intent, run, ports, context);
      await ofNode.abandon?.(intent, run, context);
    },
  };
}

/** The workflow of a restore, by whether it is of more than one node. */
export function workflowOfRestore({ standbys }: RestoreIntent, cluster: ClusterConfig, ports: Ports): Workflow<RestoreIntent, unknown> {
  return standbys === undefined ? restoreWorkflow(ports) : restoreClusterWorkflow(cluster, ports);
}

/** The next standby is decided of when its turn comes: the primary is up on its new timeline then, and so are those before it. */
async function whatFollows(
  cluster: ClusterConfig,
  intent: RestoreIntent,
  run: StoredRun,
  ports: Ports,
  context: OperationContext,
): Promise<readonly RunNote[] | undefined> {
  const { primaryIsBack, decided, back } = stagesOf(run);
  const through = decided.filter(({ node }) => !back.includes(node)).map(({ node }) => ({ message: STANDBY_IS_BACK, detail: { node } }));
  const next = (intent.standbys ?? []).find(({ server }) => !decided.some(({ node }) => node === server.node));
  const notes = [...(primaryIsBack ? [] : [{ message: PRIMARY_IS_BACK, detail: { node: intent.inPlaceNode } }]), ...through];
  if (next === undefined) return notes.length === 0 ? undefined : notes;
  return [...notes, { message: STANDBY_DECIDED, detail: await decideStandby(cluster, intent, next, run, ports, context) }];
}

async function decideStandby(
  cluster: ClusterConfig,
  { standbys = [], area }: RestoreIntent,
  standby: StandbyOfRestore,
  run: StoredRun,
  ports: Ports,
  context: OperationContext,
) {
  const { node } = standby.server;
  const suffix = `${area.root.split('-').at(-1) ?? ''}-${standbys.indexOf(standby) + 1}`;
  const request = { cluster, node, wish: {}, without: failedCandidates(run), keepOld: false, suffix };
  const rejoin = decideRejoin(request, await observeForReseed(request, ports, context), { preferRewind: false });
  if (rejoin.kind !== 'reseed') return { node, reseed: null };
  requireConfirmed(standby, rejoin.intent);
  return { node, reseed: rejoin.intent };
}

/** It is decided late, of a directory that was confirmed early. Throws PLAN_STALE. */
function requireConfirmed({ server: { node, dataDirectory, identity } }: StandbyOfRestore, { destinationIdentity }: ReseedIntent): void {
  if (destinationIdentity === identity) return;
  const what = destinationIdentity === null ? 'is gone' : 'is not the directory that was confirmed';
  throw new SpokeError('PLAN_STALE', `${dataDirectory} ${what}: ${node} is left as it is`, {
    hint: `Seed it by itself: spoke-backup reseed ${node}; then: spoke-backup runs resume`,
  });
}

/** Where the run has stopped the old primary and nobody has taken its place: clients would wait for it for ever. */
async function startPrimaryAgain(
  cluster: ClusterConfig,
  intent: RestoreIntent,
  run: StoredRun,
  ports: Ports,
  context: OperationContext,
): Promise<void> {
  const found = await (await instanceOf(intent.inPlaceNode, ports, context)).inspectDirectory(intent.dataDirectory, context);
  const isItsOwn = found.identity === intent.destinationIdentity && !found.hasStandbySignal;
  if (!isItsOwn || !hasBegun(run, 'stop-server')) return;
  const { topology } = await observeTopology(cluster, ports, context, BigInt(intent.systemIdentifier) as SystemIdentifier);
  if (found.running === undefined && !mayServeAgain(intent, topology)) return;
  const handlers = withHosts(createStepHandlers(ports), ports);
  for (const step of [startRestoredStep(intent), confirmStep(intent)])
    await runWhereItBelongs({ ...step, on: String(intent.inPlaceNode) }, handlers, context);
}

/** Each of its standbys is seen to be one: nobody was promoted meanwhile. */
function mayServeAgain({ standbys = [] }: RestoreIntent, topology: Topology): boolean {
  return topology.primaries.length === 0 && standbys.every(({ server }) => isStandby(nodeOf(topology, server.node)));
}

/** Where the old primary serves, clients go on and the standbys are started again, as far as this run has stopped them: nothing was replaced. */
async function serveAsBefore(
  cluster: ClusterConfig,
  intent: RestoreIntent,
  run: StoredRun,
  ports: Ports,
  context: OperationContext,
): Promise<void> {
  const found = await (await instanceOf(intent.inPlaceNode, ports, context)).inspectDirectory(intent.dataDirectory, context);
  if (found.running === undefined || found.identity !== intent.destinationIdentity) return;
  const handlers = withHosts(createStepHandlers(ports), ports);
  const { bouncers } = await observeFrontAlone(cluster, intent, ports, context);
  for (const { name, databases, paused } of bouncers) {
    const waiting = databases.filter((database) => paused.includes(database));
    if (waiting.length > 0 && hasBegun(run, `pause-pgbouncer ${name}`))
      await runWhereItBelongs(resumeStep(name, waiting), handlers, context);
  }
  for (const { server } of intent.standbys ?? []) {
    if (!hasBegun(run, idFor(server.node, 'stop-standby'))) continue;
    const there = await (await instanceOf(server.node, ports, context)).inspectDirectory(server.dataDirectory, context);
    if (there.running === undefined && there.identity === server.identity) await runWhereItBelongs(startAgain(server), handlers, context);
  }
}

function hasBegun({ entries }: StoredRun, step: string): boolean {
  return entries.some((entry) => entry.kind === 'step-started' && entry.step === step);
}

function startAgain(server: StandbyOfRestore['server']): Step {
  return changeStep(
    {
      id: `start-standby ${server.node}`,
      title: `Start ${server.node} again`,
      reason: 'nothing was replaced',
      probe: 'a server runs there, in recovery',
      on: server.node,
    },
    { kind: 'start-standby', server },
  );
}
