import { SpokeError } from '../../errors.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { findRunningServer } from './running-server.ts';

/** Throws REFUSED_SERVER_RUNNING where a server runs in the directory. Asked again right before every step that would hurt it. */
export async function requireNotRunning(realPath: string, identity: string, runner: ProcessRunner): Promise<void> {
  const running = await findRunningServer({ realPath, identity }, runner);
  if (running === undefined) return;
  const who = running.pid === undefined ? 'a server' : `the server with pid ${running.pid}`;
  throw new SpokeError('REFUSED_SERVER_RUNNING', `In ${realPath} runs ${who} (seen by: ${running.evidence}).`, {
    details: { directory: realPath, ...running },
    hint: `Stop it first: pg_ctl stop -D ${realPath}`,
  });
}
