import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
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
