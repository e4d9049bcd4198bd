import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import { type Lab, querySocket, type ServerAddress } from '../../harness/lab.ts';
import { titleOf } from './processes.ts';

const PATIENCE = { timeout: 120_000, interval: 100 };

/** What a tail says of itself, as far as tests look at it. */
export interface TailNews {
  readonly segment: string;
  readonly endLsn: string;
  readonly lastRecordLsn: string | null;
}

/** The processes of pg_receivewal that stream for a lab, without what starts them. */
export function receiversOf(lab: Lab): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => /^\S*pg_receivewal /.test(titleOf(pid)) && titleOf(pid).includes(lab.description.stateDirectory));
}

/** The one receiver, once there is exactly one. */
export async function receiverOf(lab: Lab): Promise<number> {
  await expect.poll(() => receiversOf(lab).length, PATIENCE).toBe(1);
  return receiversOf(lab)[0] ?? 0;
}

/** Of the newest timeline in a local repository; undefined where there is none yet. */
export function tailNews(lab: Lab, repository = 'repository'): TailNews | undefined {
  const tails = join(lab.directory, repository, 'spoke-backup/lab/tail');
  try {
    const newest = readdirSync(tails).sort().at(-1) ?? '';
    return JSON.parse(readFileSync(join(tails, newest, 'tail.json'), 'utf8')) as TailNews;
  } catch {
    return undefined;
  }
}

/** Waits until everything that the server has written by now is in the tail. */
export async function untilTailHasAll(lab: Lab, server: ServerAddress): Promise<void> {
  const [row] = await querySocket<{ lsn: string }>(server, 'SELECT pg_current_wal_flush_lsn() AS lsn');
  const lsn = parseLsn(row?.lsn ?? '');
  const hasAll = () => {
    const news = tailNews(lab);
    return news !== undefined && parseLsn(news.endLsn) >= lsn;
  };
  await expect.poll(hasAll, PATIENCE).toBe(true);
}
