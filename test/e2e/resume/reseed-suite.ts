import { existsSync, readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { REPLICATION_RIGHTS } from '../../../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../../../src/lab/layout.ts';
import { type Engine, querySocket, until, useLab } from '../../harness/lab.ts';
import { bootForRows, findDirectory, identityOf, restoreAreasBeside, Rows, rowsOf } from '../support/data.ts';
import { journalOf, JournalWatch } from '../support/journal.ts';
import { interruptAt, type Moment, randomMoments } from '../support/kill.ts';
import { RunningTool } from '../support/tool.ts';

/** How a standby is brought back, and what of it can be interrupted, in its order. */
export interface Way {
  readonly method: 'rewind' | 'delta' | 'backup' | 'basebackup';
  readonly steps: readonly string[];
}

const FIRST = ['take-out publish-endpoints', 'stop-standby', 'write-passfile', 'renew-slot', 'reserve-reseed'];
const LAST = ['start-restored', 'await-streaming', 'put-back publish-endpoints', 'release-restore-area'];

const BESIDE = (seed: string) => [...FIRST, seed, 'configure-standby', 'swap-standby', ...LAST, 'discard-old'];

/** pgBackRest restores over old data; the native engine does not. */
export const WAYS: Readonly<Record<'basebackup' | 'backup' | 'delta' | 'rewind', Way>> = {
  basebackup: { method: 'basebackup', steps: BESIDE('copy-standby') },
  backup: { method: 'backup', steps: BESIDE('restore-standby') },
  delta: { method: 'delta', steps: [...FIRST, 'restore-standby', 'configure-standby', ...LAST] },
  /** Stopped before, and not in its rewind, after which another way is gone. */
  rewind: { method: 'rewind', steps: [...FIRST.slice(2), 'configure-standby', ...LAST] },
};

export type MomentOf = Moment & Pick<Way, 'method'>;

/** Moments within a step of one way. */
export function momentsOf(method: Way['method'], step: string, count: number, withinMs: number): readonly MomentOf[] {
  return randomMoments(step, count, withinMs).map((moment) => ({ ...moment, method }));
}

interface Reseeded extends Pick<Way, 'method'> {
  readonly run: string;
}

/** `moments`: at random within what takes long, by the way that takes long there. */
export function describeResumesOfReseed(engine: Engine, ways: readonly Way[], moments: readonly MomentOf[]): void {
  describe(`a reseed whose program is killed (${engine})`, () => {
    const lab = useLab({ nodes: 2, s3: false, impatient: engine === 'pgbackrest', engine });
    const standby = () => lab().node('replica-1');
    const endpoints = () => join(lab().directory, 'endpoints.env');
    let rows: Rows;

    beforeAll(async () => {
      rows = await Rows.begin(lab());
      await rows.commit();
      // Something to copy for a moment.
      await querySocket(lab().primary, "CREATE TABLE bulk AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 40000) n");
      for (const signature of REPLICATION_RIGHTS.mayExecute)
        await querySocket(lab().primary, `GRANT EXECUTE ON FUNCTION ${signature} TO ${REPLICATION_ROLE}`);
      await lab().backup('full');
      const { config } = lab().description;
      const document = parseDocument(await readFile(config, 'utf8'));
      document.setIn(['clusters', 'lab', 'endpoints'], { file: endpoints(), database: 'postgres' });
      await writeFile(config, document.toString());
      await lab().json('setup', 'endpoints', '--apply', '--confirm', 'lab');
    });

    function reseed(method: string): readonly string[] {
      return ['reseed', 'replica-1', '--method', method, '--confirm', 'lab'];
    }

    /** Whether applications are sent to the standby. */
    function isPublished(): boolean {
      return readFileSync(endpoints(), 'utf8').includes(`:${standby().port}/`);
    }

    /** For pg_rewind, something of its own that has to go. */
    async function diverge(): Promise<void> {
      await querySocket(standby(), 'SELECT pg_promote(true, 30)');
      await querySocket(standby(), 'INSERT INTO numbers VALUES (-1)');
      await lab().stop(standby().dataDirectory);
    }

    /** Whatever answers there is no primary: it would be a second one. */
    async function expectNoSecondPrimary(): Promise<void> {
      const { dataDirectory } = standby();
      if (!existsSync(dataDirectory) || !(await lab().isRunning(dataDirectory))) return;
      expect(existsSync(join(dataDirectory, 'standby.signal'))).toBe(true);
      const answer = querySocket<{ standby: boolean }>(standby(), 'SELECT pg_is_in_recovery() AS standby');
      expect(await answer.catch(() => [])).not.toEqual([{ standby: false }]);
    }

    async function expectReseeded({ run, method }: Reseeded, oldIdentity: string | undefined): Promise<void> {
      const { dataDirectory } = standby();
      await rows.commit();
      const expected = await rows.now();
      await until('the standby has what was committed', async () => (await rowsOf(standby())).join() === expected.join());
      expect(await rowsOf(standby())).toEqual(expected);
      expect(await querySocket(standby(), 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: true }]);
      const slots = await querySocket(lab().primary, 'SELECT slot_name, active, wal_status FROM pg_replication_slots');
      expect(slots).toEqual([{ slot_name: 'replica_1', active: true, wal_status: 'reserved' }]);
      expect(restoreAreasBeside(dataDirectory)).toEqual([]);
      expect(findDirectory(dataDirectory, oldIdentity)).toBe(method === 'rewind' || method === 'delta' ? dataDirectory : undefined);
      expect(isPublished()).toBe(true);
      expect(journalOf(lab().description.stateDirectory, run).at(-1)).toMatchObject({ kind: 'run-finished', outcome: 'succeeded' });
    }

    async function killInEachStep(way: Way, begin: readonly string[]): Promise<void> {
      const { dataDirectory } = standby();
      const oldIdentity = identityOf(dataDirectory);
      let argv = begin;
      const runs = new Set<string>();
      for (const step of way.steps) {
        if (step === 'write-passfile') await rm(`${dataDirectory}.pgpass`, { force: true });
        if (step === 'renew-slot') await dropSlot();
        const { run, exitCode } = await interruptAt(lab(), argv, { step });
        expect(exitCode, step).toBe(null);
        runs.add(run);
        await expectNoSecondPrimary();
        argv = ['runs', 'resume'];
      }
      const result = await lab().json<Reseeded>('runs', 'resume');
      expect([...runs]).toEqual([result.run]);
      expect(result.method).toBe(way.method);
      await expectReseeded(result, oldIdentity);
    }

    test.each(ways.filter(({ method }) => method !== 'rewind'))(
      'in one step of $method after the other, the same run each time, comes to its end',
      (way) => killInEachStep(way, reseed(way.method)),
    );

    async function dropSlot(): Promise<void> {
      if (await lab().isRunning(standby().dataDirectory)) await lab().stop(standby().dataDirectory);
      await until('nobody reads the slot', async () => {
        const [slot] = await querySocket<{ active: boolean }>(lab().primary, 'SELECT active FROM pg_replication_slots');
        return slot?.active !== true;
      });
      await querySocket(lab().primary, 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    }

    async function killAt({ method, ...moment }: MomentOf): Promise<void> {
      const { dataDirectory } = standby();
      const oldIdentity = identityOf(dataDirectory);
      const before = method === 'rewind' ? undefined : await rowsOf(standby());
      const { run, exitCode, stdout } = await interruptAt(lab(), [...reseed(method), '--json'], moment);
      await expectNoSecondPrimary();
      const isOld = before !== undefined && method !== 'delta' && identityOf(dataDirectory) === oldIdentity;
      if (isOld && !(await lab().isRunning(dataDirectory))) expect(await bootForRows(lab(), dataDirectory)).toEqual(before);
      // A program that was quicker than the moment has ended by itself.
      const result = exitCode === 0 ? (JSON.parse(stdout) as Reseeded) : await lab().json<Reseeded>('runs', 'resume', run);
      expect(result.run).toBe(run);
      await expectReseeded(result, oldIdentity);
    }

    test.each(moments.filter(({ method }) => method !== 'rewind'))(
      'at a random moment in $step of $method ($delayMs ms) goes on to the same end, and the old standby stays bootable',
      killAt,
    );

    test('between the two renames goes on to the same end, and the old standby stays bootable', async () => {
      const { dataDirectory } = standby();
      const oldIdentity = identityOf(dataDirectory);
      const before = await rowsOf(standby());
      const watch = new JournalWatch(lab().description.stateDirectory);
      const tool = new RunningTool(reseed('basebackup'), { config: lab().description.config });
      const run = await watch.stepBegun('swap-standby', tool);
      const deadline = performance.now() + 10_000;
      // Without giving way to anything: the time between both is short.
      while (identityOf(dataDirectory) === oldIdentity && performance.now() < deadline);
      tool.kill('SIGKILL');
      await tool.ended;
      expect(isPublished()).toBe(false);
      const old = findDirectory(dataDirectory, oldIdentity) ?? '';
      expect(await bootForRows(lab(), old)).toEqual(before);
      const result = await lab().json<Reseeded>('runs', 'resume');
      expect(result).toMatchObject({ run, method: 'basebackup' });
      await expectReseeded(result, oldIdentity);
    });

    test.each([{ step: 'copy-standby', delayMs: 100 }, { step: 'configure-standby' }, { step: 'reserve-reseed' }])(
      'in $step can be given up: the old standby runs again, in front as well, and nothing is left',
      async (moment) => {
        const { dataDirectory } = standby();
        const oldIdentity = identityOf(dataDirectory);
        const { run } = await interruptAt(lab(), reseed('basebackup'), moment);
        expect(await lab().json('runs', 'cancel', run)).toMatchObject({ run, outcome: 'abandoned' });
        expect(identityOf(dataDirectory)).toBe(oldIdentity);
        expect(restoreAreasBeside(dataDirectory)).toEqual([]);
        expect(isPublished()).toBe(true);
        await rows.commit();
        const expected = await rows.now();
        await until(
          'the old standby has what was committed',
          async () => (await rowsOf(standby()).catch(() => [])).join() === expected.join(),
        );
      },
    );

    // At the end: the timeline that it begins stays in the archive, and nothing is restored from there any more.
    if (ways.includes(WAYS.rewind)) {
      test('in one step of rewind after the other, the same run each time, comes to its end', async () => {
        await diverge();
        await killInEachStep(WAYS.rewind, reseed('rewind'));
      });

      test.each(moments.filter(({ method }) => method === 'rewind'))(
        'at a random moment in $step of rewind ($delayMs ms) goes on, by another way where pg_rewind cannot be done again',
        async (moment) => {
          await diverge();
          await killAt(moment);
        },
      );
    }
  });
}
