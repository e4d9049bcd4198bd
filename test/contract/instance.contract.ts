import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DirectoryFacts, FileOwner, InstanceControl, InstanceReader, ServerStart } from '../../src/ports/instance.ts';
import type { OperationContext } from '../../src/ports/operation.ts';

/** A machine with one PostgreSQL version and an existing directory of ours. */
export interface MachineWorld {
  readonly reader: InstanceReader;
  readonly control: InstanceControl;
  readonly context: OperationContext;
  readonly root: string;
  readonly owner: FileOwner;
  readonly major: number;
  /** A new, stopped data directory of `owner`. */
  initialise(dataDirectory: string): Promise<void>;
  dispose(): Promise<void>;
}

/** What every machine does. */
export function instanceContract(name: string, make: () => Promise<MachineWorld>): void {
  describe(`${name}, as a machine`, () => {
    let world: MachineWorld;
    let reader: InstanceReader;
    let control: InstanceControl;
    let owner: FileOwner;
    let place: Omit<ServerStart, 'dataDirectory' | 'logFile' | 'port'>;
    beforeAll(async () => {
      world = await make();
      ({ reader, control, owner } = world);
      const installation = await reader.findInstallation(world.major, world.context);
      if (installation === undefined) throw new Error('the machine has no PostgreSQL');
      place = { binDirectory: installation.binDirectory, owner, socketDirectory: world.root, listenAddresses: '', settings: {} };
    });
    afterAll(() => world.dispose());

    const at = (name: string) => join(world.root, name);
    const inspect = (path: string) => reader.inspectDirectory(path, world.context);
    const write = (path: string, content: string) => control.writeFileDurably(path, content, owner, 0o600);
    const read = (path: string) => reader.readFileTail(path, 1_000_000);
    const stop = (dataDirectory: string) =>
      control.stopServer({ dataDirectory, binDirectory: place.binDirectory, owner, mode: 'fast' }, world.context);

    /** A directory with one file in it. */
    async function filled(name: string): Promise<DirectoryFacts & { readonly identity: string }> {
      await control.createDirectory(at(name), owner);
      await write(join(at(name), 'file'), name);
      return identified(at(name));
    }

    async function identified(path: string): Promise<DirectoryFacts & { readonly identity: string }> {
      const facts = await inspect(path);
      if (facts.identity === undefined) throw new Error(`${path} has no identity`);
      return { ...facts, identity: facts.identity };
    }

    async function start(dataDirectory: string, settings: Readonly<Record<string, string>> = {}): Promise<number> {
      const port = await reader.findFreePort();
      await control.startServer({ ...place, dataDirectory, port, logFile: `${dataDirectory}.log`, settings }, world.context);
      return port;
    }

    it('finds its PostgreSQL, and none that is not there', async () => {
      expect(await reader.findInstallation(world.major, world.context)).toMatchObject({ major: world.major });
      expect(await reader.findInstallation(99, world.context)).toBeUndefined();
    });

    it('knows its users', async () => {
      expect(await reader.findUser(owner.name)).toEqual(owner);
      expect(await reader.findUser('nobody-of-that-name')).toBeUndefined();
    });

    it('knows how much memory could be had', async () => {
      expect(await reader.availableMemoryBytes()).toBeGreaterThan(1024 * 1024);
    });

    it('knows how much space is left beside a file, and nothing of what is not there', async () => {
      // Others write to the same file system meanwhile.
      const difference = ((await reader.freeSpaceOf(world.root)) ?? 0n) - (await inspect(world.root)).freeBytes;
      expect(Math.abs(Number(difference))).toBeLessThan(1024 ** 3);
      expect(await reader.freeSpaceOf(world.root)).toBeGreaterThan(0n);
      expect(await reader.freeSpaceOf(at('nowhere'))).toBeUndefined();
    });

    it('gives ports that nothing listens on', async () => {
      expect(await reader.findFreePort()).toBeGreaterThan(1023);
    });

    it('tells of a directory that is not there where it would be', async () => {
      const facts = await inspect(at('absent/below'));
      expect(facts).toMatchObject({ kind: 'absent', path: at('absent/below'), realPath: at('absent/below'), isMountPoint: false });
      expect(facts.freeBytes).toBeGreaterThan(0n);
      expect(facts.parentWritable).toBe(true);
      expect(facts).not.toHaveProperty('identity');
    });

    it('makes directories with their parents, for their owner alone, and makes them only once', async () => {
      await control.createDirectory(at('made/below'), owner);
      const first = await inspect(at('made/below'));
      expect(first).toMatchObject({ kind: 'empty', owner, mode: 0o700, tablespaces: [] });
      expect(first.forbidden).toBeUndefined();
      await control.createDirectory(at('made/below'), owner);
      expect((await inspect(at('made/below'))).identity).toBe(first.identity);
    });

    it('tells a file and a directory with other things in it from a data directory', async () => {
      expect((await filled('things')).kind).toBe('other');
      expect(await inspect(at('things/file'))).toMatchObject({ kind: 'not a directory' });
      await expect(control.createDirectory(at('things/file'), owner)).rejects.toMatchObject({ code: 'REFUSED_UNSAFE_DIRECTORY' });
    });

    it('writes a file whole, in place of what was there', async () => {
      await filled('written');
      await write(at('written/file'), 'new ä\n');
      expect(await read(at('written/file'))).toBe('new ä\n');
      expect(await reader.listFiles(at('written'))).toEqual(['file']);
    });

    it('reads the end of a file, and nothing where there is none', async () => {
      await filled('tails');
      await write(at('tails/file'), '0123456789');
      expect(await reader.readFileTail(at('tails/file'), 4)).toBe('6789');
      expect(await read(at('tails/none'))).toBe('');
      expect(await reader.listFiles(at('tails/none'))).toEqual([]);
    });

    it('copies files; one that is there with the same size is kept', async () => {
      await filled('from');
      await write(at('from/second'), 'second');
      await filled('to');
      await write(at('to/file'), 'kept');
      await control.copyFiles(at('from'), at('to'), ['file', 'second'], owner, world.context);
      expect([await read(at('to/file')), await read(at('to/second'))]).toEqual(['kept', 'second']);
    });

    it('renames a directory, which is then the same directory elsewhere', async () => {
      const { identity } = await filled('old-name');
      await control.renameDirectory(at('old-name'), at('new-name'), identity);
      expect(await inspect(at('old-name'))).toMatchObject({ kind: 'absent' });
      expect(await inspect(at('new-name'))).toMatchObject({ kind: 'other', identity });
    });

    it('takes a rename that was done before for done', async () => {
      const { identity } = await filled('moved');
      await control.renameDirectory(at('moved'), at('moved-away'), identity);
      await control.renameDirectory(at('moved'), at('moved-away'), identity);
      expect((await inspect(at('moved-away'))).identity).toBe(identity);
    });

    it('renames over an empty directory and over nothing else', async () => {
      const { identity } = await filled('source');
      await filled('occupied');
      await expect(control.renameDirectory(at('source'), at('occupied'), identity)).rejects.toMatchObject({
        code: 'REFUSED_UNSAFE_DIRECTORY',
      });
      expect(await read(at('occupied/file'))).toBe('occupied');
      expect((await inspect(at('source'))).identity).toBe(identity);
      await control.createDirectory(at('vacant'), owner);
      await control.renameDirectory(at('source'), at('vacant'), identity);
      expect(await read(at('vacant/file'))).toBe('source');
    });

    it('neither renames nor removes a directory that is not the one that was looked at', async () => {
      await filled('one');
      const other = await filled('other');
      await expect(control.renameDirectory(at('one'), at('elsewhere'), other.identity)).rejects.toMatchObject({ code: 'PLAN_STALE' });
      await expect(control.removeDirectory(at('one'), other.identity)).rejects.toMatchObject({ code: 'PLAN_STALE' });
      await expect(control.renameDirectory(at('missing'), at('elsewhere'), other.identity)).rejects.toMatchObject({ code: 'PLAN_STALE' });
      expect(await read(at('one/file'))).toBe('one');
    });

    it('removes a tree, and takes one that is gone for removed', async () => {
      const { identity } = await filled('removed');
      await control.createDirectory(at('removed/a/b'), owner);
      await write(at('removed/a/b/file'), 'deep');
      await control.removeDirectory(at('removed'), identity);
      expect(await inspect(at('removed'))).toMatchObject({ kind: 'absent' });
      await control.removeDirectory(at('removed'), identity);
    });

    it('never removes a directory of the operating system', async () => {
      const { identity = '' } = await inspect('/etc');
      await expect(control.removeDirectory('/etc', identity)).rejects.toMatchObject({ code: 'REFUSED_UNSAFE_DIRECTORY' });
      expect((await inspect('/etc')).forbidden).toContain('/etc');
    });

    describe('with a data directory', () => {
      let dataDirectory: string;
      beforeAll(async () => {
        dataDirectory = at('data');
        await world.initialise(dataDirectory);
      });

      it('reads what pg_control holds', async () => {
        const facts = await inspect(dataDirectory);
        expect(facts).toMatchObject({
          kind: 'postgres',
          postgresMajor: world.major,
          hasPostgresqlConf: true,
          hasRecoverySignal: false,
          owner,
        });
        expect(facts.control).toMatchObject({ state: 'shut down', timeline: 1 });
        expect(facts).not.toHaveProperty('running');
      });

      it('starts a server, sees it run, and leaves its directory alone', async () => {
        const port = await start(dataDirectory);
        const facts = await identified(dataDirectory);
        expect(facts.running).toMatchObject({ evidence: 'postmaster.pid', port, socketDirectory: world.root });
        expect(facts.running?.pid).toBeGreaterThan(1);
        const refused = { code: 'REFUSED_SERVER_RUNNING' };
        await expect(start(dataDirectory)).rejects.toMatchObject(refused);
        await expect(control.renameDirectory(dataDirectory, at('away'), facts.identity)).rejects.toMatchObject(refused);
        await expect(control.removeDirectory(dataDirectory, facts.identity)).rejects.toMatchObject(refused);
        expect(await inspect(dataDirectory)).toMatchObject({ kind: 'postgres', running: { port } });
      });

      it('stops a server, and takes one that does not run for stopped', async () => {
        await stop(dataDirectory);
        const facts = await inspect(dataDirectory);
        expect(facts).not.toHaveProperty('running');
        expect(facts.control).toMatchObject({ state: 'shut down' });
        await stop(dataDirectory);
        await stop(at('nothing-here'));
      });

      it('says why a server did not start', async () => {
        const attempt = start(dataDirectory, { no_such_setting: 'x' });
        await expect(attempt).rejects.toMatchObject({ code: 'POSTGRES_FAILED', message: expect.stringContaining('no_such_setting') });
        expect(await inspect(dataDirectory)).not.toHaveProperty('running');
      });

      it('sees what is to happen at the next start', async () => {
        await write(join(dataDirectory, 'recovery.signal'), '');
        expect(await inspect(dataDirectory)).toMatchObject({ hasRecoverySignal: true, hasStandbySignal: false });
      });
    });
  });
}
