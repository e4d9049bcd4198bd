import { afterAll, beforeAll, expect } from 'vitest';
import { type Lab, querySocket, until, useLab } from '../../harness/lab.ts';
import { type Front, putInFront } from './front.ts';
import { type Row, Writer } from './writer.ts';

/** A lab with two standbys and a real PgBouncer, through which a client writes all the time. */
export interface FrontedLab {
  readonly lab: Lab;
  readonly writer: Writer;
}

export function useFrontedLab(): () => FrontedLab {
  const theLab = useLab({ nodes: 3, s3: false });
  let front: Front | undefined;
  let writer: Writer | undefined;

  beforeAll(async () => {
    const lab = theLab();
    front = await putInFront(lab);
    await querySocket(lab.primary, 'CREATE TABLE acknowledged (n bigint PRIMARY KEY)');
    await lab.backup('full');
    writer = new Writer(`postgresql://postgres:${encodeURIComponent(front.password)}@127.0.0.1:${front.port}/app`);
    writer.start();
    await writer.more(20);
  }, 240_000);

  afterAll(async () => {
    const written = writer?.stop();
    // At once: a client may be waiting for a server that a test has left stopped.
    await front?.bouncer.stop();
    await written;
  }, 60_000);

  return () => {
    if (writer === undefined) throw new Error('the writer is made in beforeAll');
    return { lab: theLab(), writer };
  };
}

/** Of every node, the primary of the lab's beginning first. */
export function nodesOf(lab: Lab): readonly string[] {
  return [lab.primary, ...lab.description.standbys].map(({ name }) => name);
}

export async function acknowledgedIn(lab: Lab, node: string): Promise<ReadonlySet<number>> {
  const found = await querySocket<{ n: string }>(lab.node(node), 'SELECT n FROM acknowledged');
  return new Set(found.map(({ n }) => Number(n)));
}

export async function expectNothingLost(lab: Lab, node: string, acknowledged: readonly Row[]): Promise<void> {
  const present = await acknowledgedIn(lab, node);
  expect(acknowledged.filter(({ n }) => !present.has(n))).toEqual([]);
}

/** Whether each node is in recovery; undefined where it does not answer. */
export async function recoveryOf(lab: Lab): Promise<Readonly<Record<string, boolean | undefined>>> {
  const asked = nodesOf(lab).map(async (name): Promise<readonly [string, boolean | undefined]> => {
    const rows = await querySocket<{ r: boolean }>(lab.node(name), 'SELECT pg_is_in_recovery() AS r').catch(() => []);
    return [name, rows[0]?.r];
  });
  return Object.fromEntries(await Promise.all(asked));
}

/** The nodes that take a write now: by trying, in a transaction that is rolled back by its end. */
export async function writableNodes(lab: Lab): Promise<readonly string[]> {
  const tried = nodesOf(lab).map(async (name) => {
    const attempt = querySocket(lab.node(name), 'CREATE TEMPORARY TABLE tried AS SELECT txid_current()');
    return attempt.then(
      () => [name],
      () => [],
    );
  });
  return (await Promise.all(tried)).flat();
}

export async function slotsOf(lab: Lab, node: string): Promise<readonly string[]> {
  const found = await querySocket<{ slot_name: string }>(lab.node(node), 'SELECT slot_name FROM pg_replication_slots ORDER BY 1');
  return found.map(({ slot_name }) => slot_name);
}

/** Waits until those stream from a node, and nobody else does. */
export async function untilTheyStream(lab: Lab, primary: string, standbys: readonly string[]): Promise<void> {
  const wanted = standbys.map((name) => name.replaceAll('-', '_')).sort();
  await until(`${standbys.join(' and ')} stream from ${primary}`, async () => {
    const active = `SELECT slot_name FROM pg_replication_slots WHERE active ORDER BY slot_name COLLATE "C"`;
    const found = await querySocket<{ slot_name: string }>(lab.node(primary), active);
    return found.map(({ slot_name }) => slot_name).join() === wanted.join();
  });
}
