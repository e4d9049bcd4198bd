import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RestoreArea, StepOf } from '../../src/plan/step.ts';
import type { HostControl, HostReader } from '../../src/ports/hosts.ts';
import type { FileOwner, InstanceReader } from '../../src/ports/instance.ts';
import { restoreAreaFor } from '../../src/workflows/restore/intent.ts';

/** This host, and another one that has a node. */
export interface HostsWorld {
  readonly hosts: HostReader & HostControl;
  /** What the other host would say of itself. */
  readonly there: InstanceReader;
  /** The node there. */
  readonly node: string;
  /** A directory there, of `owner`. */
  readonly root: string;
  readonly owner: FileOwner;
  dispose(): Promise<void>;
}

const signal = new AbortController().signal;
const context = { signal, timeoutMs: 60_000 };

export function reserveStep({ node, root, owner }: HostsWorld, name: string): StepOf<'reserve-restore-area'> {
  const area: RestoreArea = restoreAreaFor(join(root, name), 'k3f9');
  const backup = { repository: 'local', label: '20261122-020003F' } as never;
  return { ...base('reserve-restore-area', node), kind: 'reserve-restore-area', area, owner, runId: 'run', backup };
}

export function base(id: string, on: string) {
  return {
    id,
    on,
    effect: 'write',
    title: `do ${id}`,
    reason: 'the test wants it',
    probe: 'none',
    timeoutMs: 60_000,
    retry: 'never',
    onFailure: 'stop',
  } as const;
}

/** What every way to another host does. */
export function hostsContract(name: string, make: () => Promise<HostsWorld>): void {
  describe(`${name}, as another host`, () => {
    let world: HostsWorld;
    beforeAll(async () => {
      world = await make();
    });
    afterAll(() => world.dispose());

    const look = () => world.hosts.look(world.node, context);

    it('knows what is on another host', () => {
      expect(world.hosts.isElsewhere(world.node)).toBe(true);
      expect(world.hosts.isElsewhere('replica-1')).toBe(false);
    });

    it('tells of a directory what its own host would', async () => {
      const { instance } = await look();
      const { freeBytes: _free, ...there } = await world.there.inspectDirectory(world.root, context);
      const { freeBytes, ...told } = await instance.inspectDirectory(world.root, context);
      expect(told).toEqual(there);
      expect(freeBytes).toBeTypeOf('bigint');
    });

    it('tells of what is not there as its own host would', async () => {
      const { instance } = await look();
      expect((await instance.inspectDirectory(join(world.root, 'nowhere'), context)).kind).toBe('absent');
      expect(await instance.readFileTail(join(world.root, 'nowhere'), 100)).toBe('');
      expect(await instance.listFiles(join(world.root, 'nowhere'))).toEqual([]);
      expect(await instance.readWalEnd(join(world.root, 'nowhere'))).toBe(undefined);
      expect(await instance.ownerOf(join(world.root, 'nowhere'))).toBeUndefined();
      expect(await instance.freeSpaceOf(join(world.root, 'nowhere'))).toBeUndefined();
      expect(await instance.findInstallation(99, context)).toBeUndefined();
      expect(await instance.findUser('nobody-of-that-name')).toBeUndefined();
    });

    it('knows who works there, what is free and which port is', async () => {
      const { instance } = await look();
      expect(instance.currentUser()).toEqual(world.there.currentUser());
      expect(await instance.findUser(world.owner.name)).toEqual(world.owner);
      expect(await instance.availableMemoryBytes()).toBeGreaterThan(1024 * 1024);
      expect(await instance.findFreePort()).toBeGreaterThan(1023);
    });

    it('does a step there, twice as well as once, and undoes it', async () => {
      const step = reserveStep(world, 'data');
      const { area } = step;
      expect(await world.hosts.runStep(step, context)).toEqual({ area: area.root });
      expect(await world.hosts.runStep(step, context)).toEqual({ area: area.root });
      expect(JSON.parse(await (await look()).instance.readFileTail(area.markerFile, 1000))).toMatchObject({ runId: 'run' });
      const release: StepOf<'release-restore-area'> = {
        ...base('release-restore-area', world.node),
        kind: 'release-restore-area',
        area,
      };
      await world.hosts.runStep(release, context);
      expect((await world.there.inspectDirectory(area.root, context)).kind).toBe('absent');
    });

    it('shows what it would do, and does nothing', async () => {
      const step = reserveStep(world, 'shown');
      expect(await (await look()).preview(step, context)).toEqual([{ argv: ['mkdir', '-m', '0700', step.area.root] }]);
      expect((await world.there.inspectDirectory(step.area.root, context)).kind).toBe('absent');
    });

    it('does several things side by side', async () => {
      const { instance } = await look();
      const kinds = await Promise.all(Array.from({ length: 20 }, () => instance.inspectDirectory(world.root, context)));
      expect(new Set(kinds.map(({ identity }) => identity)).size).toBe(1);
    });

    it('passes on what was thrown there: code, details and hint', async () => {
      const discard: StepOf<'discard-old'> = {
        ...base('discard-old', world.node),
        kind: 'discard-old',
        oldDataDirectory: world.root,
        identity: '1:1',
      };
      const thrown: unknown = await world.hosts.runStep(discard, context).catch((error: unknown) => error);
      expect(thrown).toMatchObject({ code: 'PLAN_STALE' });
      expect(String(thrown)).toContain(`${world.root} is not the directory that was replaced`);
    });

    it('says what the engine there is configured to', async () => {
      const engine = await (await look()).observeEngine(15, context);
      expect(engine.archivingSettings).toHaveProperty('archive_command');
      expect(engine.isConfigurationCurrent).toBeTypeOf('boolean');
    });

    it('refuses steps of a kind that no host does for another, and those that are not as they must be', async () => {
      const pin = { ...base('remove-pin', world.node), kind: 'remove-pin', cluster: 'main', repository: 'local', label: 'x' };
      await expect(world.hosts.runStep(pin, context)).rejects.toMatchObject({ code: 'TOOL_UNSUPPORTED' });
      const good = reserveStep(world, 'odd');
      for (const bad of [
        { ...good, kind: 'constructor' },
        { ...good, more: true },
        { ...good, area: { ...good.area, root: 'relative' } },
        { ...good, area: { ...good.area, root: `${world.root}/../elsewhere` } },
        { ...good, owner: { ...good.owner, uid: -1 } },
      ])
        await expect(world.hosts.runStep(bad, context)).rejects.toMatchObject({ code: 'TOOL_UNSUPPORTED' });
    });

    it('does nothing for whoever has been cancelled before', async () => {
      const cancelled = AbortSignal.abort(Object.assign(new Error('no'), {}));
      await expect(world.hosts.runStep(reserveStep(world, 'late'), { signal: cancelled })).rejects.toThrow();
      expect((await world.there.inspectDirectory(reserveStep(world, 'late').area.root, context)).kind).toBe('absent');
    });
  });
}
