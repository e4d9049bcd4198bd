import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leaderOf, type PatroniView } from '../../src/domain/patroni/view.ts';
import type { OperationContext } from '../../src/ports/operation.ts';
import type { PatroniControl, PatroniReader } from '../../src/ports/patroni.ts';
import { eventually } from './instance-harness.ts';

export type Patroni = PatroniReader & PatroniControl;

export interface PatroniSubject {
  /** Asked as it is meant. */
  readonly patroni: Patroni;
  /** By a wrong password. */
  readonly stranger: Patroni;
  /** Where nothing listens. */
  readonly nowhere: Patroni;
  /** Where nothing listens, and then where it does. */
  readonly second: Patroni;
  /** By the name of another cluster. */
  readonly other: Patroni;
  readonly scope: string;
  readonly members: readonly string[];
  /** Takes the configuration store away. */
  stopStore(): Promise<void>;
  dispose(): Promise<void>;
}

/** What every Patroni says and does. */
export function patroniContract(title: string, open: () => Promise<PatroniSubject>): void {
  describe(`the Patroni of ${title}`, () => {
    let subject: PatroniSubject;
    let opened: PatroniSubject | undefined;
    const context: OperationContext = { signal: new AbortController().signal, timeoutMs: 60_000 };
    beforeAll(async () => {
      subject = opened = await open();
    }, 120_000);
    afterAll(() => opened?.dispose());

    const view = () => subject.patroni.observe(context);
    const leader = async () => leaderOf(await view())?.name ?? '';
    const standby = async () => (await view()).members.find(({ role }) => role === 'replica')?.name ?? '';
    const hasSettled = ({ members }: PatroniView) =>
      leaderOf({ members }) !== undefined && members.every(({ timeline }) => timeline === leaderOf({ members })?.timeline);
    /** Another server than the one that was started then. */
    const untilStartedAfter = (before: string | undefined, member: string) =>
      eventually(async () => {
        const { startedAt } = await subject.patroni.observeMember(member, context);
        expect(startedAt).toBeDefined();
        expect(startedAt).not.toBe(before);
      });
    const settled = () => eventually(async () => expect(await view()).toSatisfy(hasSettled));

    it('says who is what, where its PostgreSQL is, and how far behind', async () => {
      // What a member has told of itself lies a loop_wait back.
      await settled();
      const { version, scope, paused, members, storeFault } = await view();
      expect({ scope, paused, storeFault }).toEqual({ scope: subject.scope, paused: false, storeFault: undefined });
      expect(version).toMatch(/^\d+\.\d+/);
      expect(members.map(({ name }) => name)).toEqual(subject.members);
      expect(members.filter(({ role }) => role === 'leader')).toHaveLength(1);
      for (const { role, lagBytes, host, port, timeline, pendingRestart } of members) {
        expect({ host, timeline, pendingRestart }).toEqual({ host: '127.0.0.1', timeline: 1, pendingRestart: false });
        expect(port).toBeGreaterThan(0);
        expect(lagBytes).toBe(role === 'leader' ? undefined : 0n);
      }
    });

    it('knows of each member since when its server runs, and of nobody else', async () => {
      const state = await subject.patroni.observeMember(await standby(), context);
      expect(state).toMatchObject({ state: expect.stringMatching(/running|streaming/), paused: false, timeline: 1 });
      expect(state.startedAt).toBeDefined();
      await expect(subject.patroni.observeMember('nobody', context)).rejects.toMatchObject({ code: 'PATRONI_FAILED' });
    });

    it('answers at any of its URLs, and is unavailable where none does', async () => {
      expect((await subject.second.observe(context)).scope).toBe(subject.scope);
      await expect(subject.nowhere.observe(context)).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE' });
      await expect(subject.nowhere.setPaused(true, context)).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE' });
    });

    it('is not taken for that of another cluster', async () => {
      await expect(subject.other.observe(context)).rejects.toMatchObject({ code: 'REFUSED_WRONG_CLUSTER' });
    });

    it('lets strangers look and change nothing', async () => {
      const before = await leader();
      expect((await subject.stranger.observe(context)).scope).toBe(subject.scope);
      for (const asking of [
        () => subject.stranger.setPaused(true, context),
        async () => subject.stranger.switchover({ leader: before, candidate: await standby() }, context),
        async () => subject.stranger.failover(await standby(), context),
        async () => subject.stranger.reinitialize(await standby(), context),
        async () => subject.stranger.restart(await standby(), context),
      ])
        await expect(asking()).rejects.toMatchObject({ code: 'PATRONI_DENIED' });
      expect(await view()).toMatchObject({ paused: false });
      expect(await leader()).toBe(before);
    });

    it('is paused until it is resumed, however often it is told so, has told every member, and starts servers meanwhile', async () => {
      for (const paused of [true, false, false, true, true]) {
        await subject.patroni.setPaused(paused, context);
        expect((await view()).paused).toBe(paused);
        for (const member of subject.members) expect((await subject.patroni.observeMember(member, context)).paused).toBe(paused);
        expect((await subject.patroni.readConfiguration(context))['pause'] === true).toBe(paused);
      }
      const member = await standby();
      const before = (await subject.patroni.observeMember(member, context)).startedAt;
      await subject.patroni.restart(member, context);
      await untilStartedAfter(before, member);
      await subject.patroni.setPaused(false, context);
    });

    it('hands over to nobody that it does not know, and from nobody that does not lead', async () => {
      const before = await leader();
      const other = await standby();
      await expect(subject.patroni.switchover({ leader: before, candidate: 'nobody' }, context)).rejects.toMatchObject({
        code: 'PATRONI_FAILED',
      });
      await expect(subject.patroni.switchover({ leader: other, candidate: before }, context)).rejects.toMatchObject({
        code: 'PATRONI_FAILED',
      });
      await expect(subject.patroni.failover('nobody', context)).rejects.toMatchObject({ code: 'PATRONI_FAILED' });
      expect(await leader()).toBe(before);
    });

    it('makes a standby anew, and never the leader', async () => {
      const member = await standby();
      const before = (await subject.patroni.observeMember(member, context)).startedAt;
      await subject.patroni.reinitialize(member, context);
      await untilStartedAfter(before, member);
      await expect(subject.patroni.reinitialize(await leader(), context)).rejects.toMatchObject({ code: 'PATRONI_FAILED' });
    });

    it('hands over to the member that was asked for, on a new timeline that it remembers', async () => {
      await settled();
      const candidate = await standby();
      await subject.patroni.switchover({ leader: await leader(), candidate }, context);
      expect(await leader()).toBe(candidate);
      await eventually(async () => {
        const { history, members } = await view();
        expect(history.map(({ timeline }) => timeline)).toEqual([1]);
        expect(leaderOf({ members })?.timeline).toBe(2);
      });
    });

    it('says so when its configuration store is away, and changes nothing then', async () => {
      await subject.stopStore();
      // Patroni itself has no answer before its retry_timeout is over.
      const quick = { ...context, timeoutMs: 2_000 };
      const { storeFault, members, scope } = await subject.patroni.observe(quick);
      expect(storeFault).toBeDefined();
      expect({ members, scope }).toEqual({ members: [], scope: subject.scope });
      await expect(subject.patroni.reinitialize(subject.members[0] ?? '', quick)).rejects.toMatchObject({ code: 'PATRONI_UNAVAILABLE' });
    });
  });
}
