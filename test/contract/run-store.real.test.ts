import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createRunStore } from '../../src/adapters/state/run-store.ts';
import { asRoot, withMounts } from './privileges.ts';
import { headerOf, noteOf, runIdOf, runStoreContract } from './run-store.contract.ts';

const RUN = '20261122T211628Z-restore-aaaa';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'state-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function made<T>(create: (directory: string) => T) {
  return () => {
    const directory = mkdtempSync(join(tmpdir(), 'state-'));
    const dispose = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
    return Promise.resolve({ subject: create(join(directory, 'not', 'yet', 'there')), dispose });
  };
}

runStoreContract('the files of the state directory', made(createRunStore));

const runDirectory = (state: string) => join(state, 'runs', RUN);
const journal = (state: string) => join(runDirectory(state), 'journal.jsonl');

describe('a journal on disk', () => {
  it('is repaired by the next entry wherever its last line was torn', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    const kept = statSync(journal(state)).size;
    await store.append(runIdOf(RUN), noteOf('torn ä'));
    const whole = statSync(journal(state)).size;
    for (let size = whole - 1; size >= kept; size -= 1) {
      truncateSync(journal(state), size);
      expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept')]);
      await store.append(runIdOf(RUN), noteOf('torn ä'));
      expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('torn ä')]);
    }
  });

  it('is repaired where the torn line is longer than what is read at once', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    writeFileSync(journal(state), 'x'.repeat(200_000), { flag: 'a' });
    await store.append(runIdOf(RUN), noteOf('next'));
    expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('next')]);
  });

  it('is for its owner alone', async () => {
    const state = join(stateDirectory(), 'made');
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('x'));
    const modes = [state, join(state, 'runs'), runDirectory(state)].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700, 0o700]);
    expect([join(runDirectory(state), 'header.json'), journal(state)].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  it('of a run whose header was never finished does not exist', async () => {
    const state = stateDirectory();
    mkdirSync(runDirectory(state), { recursive: true });
    writeFileSync(join(runDirectory(state), '.17-ab.tmp'), '{"schema":');
    const store = createRunStore(state);
    expect(await store.list()).toEqual([]);
    await store.create(headerOf(RUN));
    expect(await store.list()).toHaveLength(1);
  });

  it.each<[string, (state: string) => void]>([
    ['a header that is no JSON', (state) => writeFileSync(join(runDirectory(state), 'header.json'), '{')],
    ['an empty header', (state) => truncateSync(join(runDirectory(state), 'header.json'))],
    ['a directory in place of its journal', (state) => mkdirSync(journal(state))],
  ])('with %s is left out, named with a reason, and can be set aside without losing its files', async (_what, damage) => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.create(headerOf('20261122T211629Z-backup-bbbb'));
    damage(state);
    expect((await store.list()).map((run) => run.header.runId)).toEqual(['20261122T211629Z-backup-bbbb']);
    expect(await store.listDamaged()).toEqual([{ runId: RUN, reason: expect.any(String) }]);
    expect(await store.listDamaged({ among: 1 })).toEqual([]);
    await expect(store.read(runIdOf(RUN))).rejects.toMatchObject({
      code: 'RUN_NOT_FOUND',
      hint: expect.stringContaining('runs rebuild'),
    });
    const before = readdirSync(runDirectory(state));
    const path = await store.setAside(runIdOf(RUN));
    expect(readdirSync(path)).toEqual(before);
    expect(await store.listDamaged()).toEqual([]);
    await store.create(headerOf(RUN));
    expect(await store.setAside(runIdOf(RUN))).not.toBe(path);
  });

  it('that was being removed when the machine went down is removed with the next one', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    mkdirSync(join(state, 'runs', '.removing-20261122T211627Z-backup-cccc'));
    expect(await store.listIds()).toEqual([RUN]);
    await store.remove([runIdOf(RUN)]);
    expect(readdirSync(join(state, 'runs'))).toEqual([]);
  });

  it('that is not meant is not opened: reading it would wait for ever', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    const newest = headerOf('20261122T211629Z-backup-bbbb');
    await store.create({ ...newest, verb: 'backup' });
    const older = Array.from({ length: 100 }, (_, index) => join(state, 'runs', `20260101T000${100 + index}Z-restore-old`));
    for (const directory of older) mkdirSync(directory);
    execFileSync(
      'mkfifo',
      older.map((directory) => join(directory, 'header.json')),
    );
    for (const filter of [{ limit: 1 }, { verbs: ['backup'] }, { startedSince: newest.startedAt }] as const)
      expect((await store.list(filter)).map((run) => run.header.runId)).toEqual([newest.runId]);
    expect(await store.listIds()).toHaveLength(101);
  });

  it('does not hide other runs when one header is damaged', async () => {
    const state = stateDirectory();
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.create(headerOf('20261122T211629Z-backup-bbbb'));
    writeFileSync(join(runDirectory(state), 'header.json'), '{');
    expect((await store.list()).map((run) => run.header.runId)).toEqual(['20261122T211629Z-backup-bbbb']);
  });

  asRoot('written by root belongs to the owner of the state directory', async () => {
    const state = stateDirectory();
    chownSync(state, 12345, 23456);
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('x'));
    const paths = [join(state, 'runs'), runDirectory(state), join(runDirectory(state), 'header.json'), journal(state)];
    for (const path of paths) expect([path, statSync(path).uid, statSync(path).gid]).toEqual([path, 12345, 23456]);
  });

  withMounts('on a full disk fails with DISK_FULL, loses nothing and goes on when there is space', async () => {
    const state = stateDirectory();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', state]);
    cleanUps.push(() => execFileSync('umount', [state]));
    const store = createRunStore(state);
    await store.create(headerOf(RUN));
    await store.append(runIdOf(RUN), noteOf('kept'));
    const ballast = join(state, 'ballast');
    execFileSync('sh', ['-c', 'cat /dev/zero > "$1" 2>/dev/null || true', 'sh', ballast]);
    const tooLong = noteOf('long '.repeat(2_000));
    await expect(store.append(runIdOf(RUN), tooLong)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(store.create(headerOf('20261122T211629Z-backup-bbbb'))).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(readFileSync(journal(state), 'utf8').endsWith('\n')).toBe(true);
    rmSync(ballast);
    await store.append(runIdOf(RUN), noteOf('next'));
    expect((await store.read(runIdOf(RUN))).entries).toEqual([noteOf('kept'), noteOf('next')]);
    expect(await store.list()).toHaveLength(1);
  });
});
