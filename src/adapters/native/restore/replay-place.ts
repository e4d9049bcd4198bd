import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeParts } from '../parts.ts';
import { makeOwnDirectory } from './own-directory.ts';
import type { WalAnswer } from './wal-answer.ts';
import { errnoOf, writeOwned } from './write-owned.ts';

/** Where a server that replays and what fetches its WAL meet: both sides are files, so that either may be killed at any time. */
export interface ReplayPlace {
  readonly root: string;
  /** An empty file for each name that the server waits for. */
  readonly wanted: string;
  /** Whole files, which the server takes away. */
  readonly ready: string;
  /** Half-written ones. */
  readonly begun: string;
  answer(name: string, answer: WalAnswer): Promise<void>;
  /** Says in a file that it is this process that answers now. */
  claim(): Promise<void>;
  isMine(): Promise<boolean>;
  /** And that nobody answers any more. */
  disclaim(): Promise<void>;
}

/** Directories of the server's owner, empty; what an earlier process of ours has left goes. */
export async function makeReplayPlace(parts: Pick<NativeParts, 'settings'>, root: string): Promise<ReplayPlace> {
  await rm(root, { recursive: true, force: true });
  const [wanted, ready, begun, answers] = ['wanted', 'ready', 'begun', 'answers'].map((name) => join(root, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [root, wanted, ready, begun, answers]) await makeOwnDirectory(parts, path);
  const claim = join(root, 'fetcher');
  const me = `${process.pid} ${await startTicks()}\n`;
  return {
    ...{ root, wanted, ready, begun },
    async answer(name, { code, word, cause }) {
      const temporary = join(begun, `${name}.answer`);
      await rm(temporary, { force: true });
      await writeFile(temporary, `${code} ${word} ${cause}\n`, { flag: 'wx', mode: 0o644 });
      await rename(temporary, join(answers, name));
    },
    claim: () => writeOwned(parts, claim, me),
    disclaim: () => rm(claim, { force: true }),
    async isMine() {
      try {
        return (await readFile(claim, 'utf8')) === me;
      } catch (thrown) {
        if (errnoOf(thrown) === 'ENOENT') return false;
        throw thrown;
      }
    },
  };
}

/** When this process began, in ticks since the boot: with its number nobody else's (proc(5), stat, field 22). */
async function startTicks(): Promise<string> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  return stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[19] ?? '';
}
