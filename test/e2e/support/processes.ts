import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { processesBelow } from '../../../scripts/vitest/test-root.ts';
import type { Lab } from '../../harness/lab.ts';

/** What this test file started and still runs, beside its own servers and those on the given data directories. */
export function strangers(lab: Lab, ...dataDirectories: string[]): readonly string[] {
  const allowed = new Set([...daemonsOf(lab.directory), ...[lab.primary.dataDirectory, ...dataDirectories].flatMap(postmasterOf)]);
  const found = processesBelow(tmpdir());
  // Afterwards: what a server has only just started would seem to have no parent. What is gone by then has ended.
  const parents = parentsOfAll();
  return found
    .filter(({ pid }) => parents.has(pid) && !ancestry(pid, parents).some((ancestor) => allowed.has(ancestor)))
    .filter(({ command }) => !isArchiving(command))
    .map(({ pid, command }) => `${pid} ${command}`);
}

/** What a server's own archive_command has left to work on by itself: pgBackRest's asynchronous archive-push. */
function isArchiving(command: string): boolean {
  return /(^|\/)pgbackrest .* archive-push:async /.test(`${command} `);
}

/** Waits a moment for what was told to end, and fails with what did not. */
export async function expectNothingElseRuns(lab: Lab, ...dataDirectories: string[]): Promise<void> {
  await expect.poll(() => strangers(lab, ...dataDirectories), { timeout: 15_000, interval: 100 }).toEqual([]);
}

/** The pid of the server on a data directory, as it says itself; none where none is said to run. */
export function postmasterOf(dataDirectory: string): number[] {
  const pid = Number(readText(join(dataDirectory, 'postmaster.pid')).split('\n')[0]);
  return pid > 0 ? [pid] : [];
}

/** Those that the lab started and wrote down: servers and the S3 server. */
export function daemonsOf(labDirectory: string): number[] {
  const directory = join(labDirectory, 'processes');
  return readdirSync(directory).map((name) => (JSON.parse(readText(join(directory, name))) as { pid: number }).pid);
}

/** The pids of the descendants of a process. */
export function descendantsOf(pid: number): readonly number[] {
  const parents = parentsOfAll();
  return [...parents.keys()].filter((one) => one !== pid && ancestry(one, parents).includes(pid));
}

/** The command line of a process, its words with a space between. */
export function titleOf(pid: number): string {
  return readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

function parentsOfAll(): ReadonlyMap<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readText(`/proc/${name}/stat`) : '';
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  return parents;
}

function ancestry(pid: number, parents: ReadonlyMap<number, number>): readonly number[] {
  const found: number[] = [];
  for (let one: number | undefined = pid; one !== undefined && one > 0; one = parents.get(one)) found.push(one);
  return found;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
