import { execFile } from 'node:child_process';
import type { ProcessFacts } from './process-facts.ts';

const COLUMNS = ['pid=', 'ppid=', 'stat=', 'lstart=', 'args='].flatMap((column) => ['-o', column]);
const PS_TIMEOUT_MS = 10_000;

/** What ps can tell where there is no /proc (macOS, BSD): no working directory, no environment. All processes, or the one of that pid. */
export async function listByPs(pid?: number): Promise<readonly ProcessFacts[]> {
  const which = pid === undefined ? ['-A'] : ['-p', String(pid)];
  const output = await new Promise<string>((resolve) => {
    const options = { timeout: PS_TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' }, maxBuffer: 64 * 1024 * 1024 };
    // It ends with exit code 1 where there is no such process.
    execFile('ps', ['-ww', ...which, ...COLUMNS], options, (_, stdout) => resolve(stdout));
  });
  return parsePs(output);
}

/** Lines of pid, parent, state, start (five words, such as `Sun Nov 22 21:56:00 2026`), arguments. */
export function parsePs(output: string): readonly ProcessFacts[] {
  return output.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\d{4})\s+(.*)$/.exec(line);
    const [, pid = '', parentPid = '', state = '', started = '', command = ''] = match ?? [];
    if (match === null || state.startsWith('Z')) return [];
    const argv = command.split(' ');
    const [executable = ''] = argv;
    return [
      { pid: Number(pid), parentPid: Number(parentPid), startIdentity: started.replace(/\s+/g, ' '), executable, argv, environment: [] },
    ];
  });
}
