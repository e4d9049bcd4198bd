import { expect } from 'vitest';
import { cancelRun } from '../../src/engine/cancel-run.ts';
import { changePrimaryWorkflow } from '../../src/engine/change-primary-workflow.ts';
import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { asSpokeError, type SpokeError } from '../../src/errors.ts';
import type { RunHeader, RunId } from '../../src/ports/run-store.ts';
import { type ChangePrimaryIntent, withChosen } from '../../src/workflows/change-primary/intent.ts';
import { chosenSince, lostAfterFences } from '../../src/workflows/change-primary/journal.ts';
import { decideFailover } from '../../src/workflows/failover/decide.ts';
import { observeWalEnds } from '../../src/workflows/failover/observe.ts';
import { observeTopology } from '../../src/workflows/observe-topology.ts';
import { decideSwitchover } from '../../src/workflows/switchover/decide.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import type { ChangeCluster } from './change-cluster.ts';

export const RUN = '20261125T120000Z-change-aaaaaa' as RunId;
const CONTEXT = { signal: new AbortController().signal };

export type End = { readonly kind: 'done' } | { readonly kind: 'died' } | { readonly kind: 'failed'; readonly error: SpokeError };

export interface Attempt {
  readonly end: End;
  readonly process: FakeProcess;
}

/** The intent goes through text, as in the journal. */
export async function decideToSwitchOver(cluster: ChangeCluster, to: string): Promise<ChangePrimaryIntent> {
  const ports = cluster.ports(new FakeProcess(cluster.world));
  const observed = await observeTopology(cluster.config, ports, CONTEXT);
  return throughText(decideSwitchover(cluster.config, { to, run: RUN, thenBackup: false }, observed));
}

export async function decideToFailOver(cluster: ChangeCluster, to?: string): Promise<ChangePrimaryIntent> {
  const ports = cluster.ports(new FakeProcess(cluster.world));
  const observed = await observeTopology(cluster.config, ports, CONTEXT);
  const facts = { snapshots: [], walEnds: await observeWalEnds(observed, ports, CONTEXT) };
  return throughText(
    decideFailover(cluster.config, { run: RUN, thenBackup: false, fenced: [], ...(to === undefined ? {} : { to }) }, observed, facts)
      .intent,
  );
}

function throughText<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** One process that runs the run, from its beginning or from wherever the last one came to. */
export async function attempt(
  cluster: ChangeCluster,
  intent: ChangePrimaryIntent,
  disturbances?: ReadonlyMap<number, Disturbance>,
): Promise<Attempt> {
  const process = new FakeProcess(cluster.world, disturbances === undefined ? {} : { disturbances });
  const ports = cluster.ports(process);
  const context = { ports, handlers: createStepHandlers(ports), emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    await executeRun(changePrimaryWorkflow(cluster.config, intent.verb, ports), headerOf(intent), context);
    return { end: { kind: 'done' }, process };
  } catch (thrown) {
    return { end: process.isAlive ? { kind: 'failed', error: asSpokeError(thrown) } : { kind: 'died' }, process };
  }
}

/** Gives the run up, as `runs cancel` does; what kept it from that. */
export async function giveUp(cluster: ChangeCluster, intent: ChangePrimaryIntent): Promise<SpokeError | undefined> {
  const process = new FakeProcess(cluster.world);
  const ports = cluster.ports(process);
  const context = { ports, emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    await cancelRun(await ports.runs.read(RUN), changePrimaryWorkflow(cluster.config, intent.verb, ports), context);
    return undefined;
  } catch (thrown) {
    return asSpokeError(thrown);
  }
}

export function headerOf(intent: Pick<ChangePrimaryIntent, 'verb' | 'cluster'>): RunHeader {
  return {
    runId: RUN,
    verb: intent.verb,
    cluster: intent.cluster,
    startedAt: 1_795_382_188_000_000n as RunHeader['startedAt'],
    host: 'db1',
    user: 'postgres',
    programVersion: '0.1.0',
    trigger: { kind: 'manual' },
    intent,
  };
}

/** What its journal says at the end of a failover: who was promoted, and what was given up with it. */
export async function cameTo(cluster: ChangeCluster, intent: ChangePrimaryIntent) {
  const stored = await cluster.ports(new FakeProcess(cluster.world)).runs.read(RUN);
  return { to: withChosen(intent, chosenSince(stored)).to, lost: lostAfterFences(stored) };
}

/** One primary, everybody else that runs follows it, and clients come to it. */
export function expectSettled(cluster: ChangeCluster, primary: string): void {
  const { nodes, bouncer } = cluster;
  nodes.flow();
  expect(cluster.writable).toEqual([primary]);
  expect(bouncer.portOf('app')).toBe(nodes.named(primary).port);
  const others = nodes.nodes.filter(({ name, isRunning }) => name !== primary && isRunning);
  expect(others.map((node) => node.upstream()?.name)).toEqual(others.map(() => primary));
}

/** Everything acknowledged is in that node. */
export function expectNothingLost(cluster: ChangeCluster, node: string): void {
  const rows = new Set(cluster.nodes.named(node).rows);
  expect(cluster.acknowledged.filter((number) => !rows.has(number))).toEqual([]);
}
