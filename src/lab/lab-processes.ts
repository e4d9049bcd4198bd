import { basename, sep } from 'node:path';
import { isAlive, LAB_MARK, readDaemonRecords } from './daemon.ts';
import type { ProcessFacts } from './process-facts.ts';
import { listProcesses } from './process-table.ts';

/** A living process of a lab. */
export interface LabProcess {
  readonly pid: number;
  readonly startIdentity: string;
  /** server: a postmaster; worker: what a postmaster has forked; other: anything else. */
  readonly kind: 'server' | 'worker' | 'other';
  /** As the lab wrote it down, else the name of the program. */
  readonly name: string;
}

/**
 * Everything that lives in the lab: what is written down, what bears the lab's mark, servers whose data directory is in it
 * (restored ones too) and pgBackRest at work for it. Not: shells and other programs that merely stand in the directory.
 */
export async function findLabProcesses(directory: string): Promise<readonly LabProcess[]> {
  const recorded = new Map<number, string>();
  for (const record of await readDaemonRecords(directory)) {
    if (await isAlive(record)) recorded.set(record.pid, record.name);
  }
  const found = (await listProcesses()).filter(
    (each) => each.pid !== process.pid && (recorded.has(each.pid) || belongsTo(directory, each)),
  );
  const postgres = new Set(found.filter(isPostgres).map((each) => each.pid));
  return found.map((each) => ({
    pid: each.pid,
    startIdentity: each.startIdentity,
    kind: kindOf(each, postgres),
    name: recorded.get(each.pid) ?? programOf(each),
  }));
}

function kindOf(each: ProcessFacts, postgres: ReadonlySet<number>): LabProcess['kind'] {
  if (!isPostgres(each)) return 'other';
  return postgres.has(each.parentPid) ? 'worker' : 'server';
}

function belongsTo(directory: string, each: ProcessFacts): boolean {
  if (each.environment.includes(`${LAB_MARK}=${directory}`)) return true;
  if (isPostgres(each) && each.workingDirectory !== undefined) return isWithin(directory, each.workingDirectory);
  const names = each.argv.map((argument) => argument.replace(/^--[\w-]+=/, ''));
  return ['postgres', 'pgbackrest'].includes(programOf(each)) && names.some((name) => isWithin(directory, name));
}

function isPostgres(each: ProcessFacts): boolean {
  return programOf(each) === 'postgres';
}

/** A program that was replaced by an upgrade while it runs is called `… (deleted)` by the kernel. */
function programOf(each: ProcessFacts): string {
  return basename((each.executable ?? '').replace(/ \(deleted\)$/, ''));
}

function isWithin(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory + sep);
}
