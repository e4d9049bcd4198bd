import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { OperationContext } from '../../ports/operation.ts';
import type { PostgresInstallation } from '../../ports/instance.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { SpokeError } from '../../errors.ts';

const VERSION_TIMEOUT_MS = 10_000;
/** What this program calls. */
const NEEDED_PROGRAMS = ['postgres', 'pg_ctl', 'pg_controldata'];

/** Where packages put a major version: Debian, RHEL, Homebrew (Apple and Intel), Alpine, then whatever PATH finds. */
export function candidateDirectories(major: number, configured: string | undefined, path: string): readonly string[] {
  const packaged = [
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
    `/opt/homebrew/opt/postgresql@${major}/bin`,
    `/usr/local/opt/postgresql@${major}/bin`,
    `/usr/libexec/postgresql${major}`,
    '/usr/local/pgsql/bin',
  ];
  const candidates = [...(configured === undefined ? [] : [configured]), ...packaged, ...path.split(delimiter)];
  return [...new Set(candidates.filter((directory) => directory.startsWith('/')))];
}

/** For example `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`, `… 18beta1`. */
export function parsePostgresVersion(output: string): { readonly major: number; readonly version: string } | undefined {
  const match = /^postgres \(\S+\) ((\d+)\S*)/.exec(output);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { version: match[1], major: Number(match[2]) };
}

/** The first place that has this major version whole; every candidate is asked for its version. */
export async function findInstallation(
  major: number,
  configured: string | undefined,
  runner: ProcessRunner,
  context: OperationContext,
): Promise<PostgresInstallation | undefined> {
  for (const binDirectory of candidateDirectories(major, configured, process.env.PATH ?? '')) {
    if (!(await hasAllPrograms(binDirectory))) continue;
    const found = await versionIn(binDirectory, runner, context);
    if (found?.major === major) return { ...found, binDirectory };
  }
  return undefined;
}

async function hasAllPrograms(binDirectory: string): Promise<boolean> {
  try {
    await Promise.all(NEEDED_PROGRAMS.map((name) => access(join(binDirectory, name), constants.X_OK)));
    return true;
  } catch {
    return false;
  }
}

async function versionIn(binDirectory: string, runner: ProcessRunner, context: OperationContext) {
  try {
    const request = { file: join(binDirectory, 'postgres'), argv: ['--version'], signal: context.signal, timeoutMs: VERSION_TIMEOUT_MS };
    const result = await runner.run(request);
    return result.exitCode === 0 ? parsePostgresVersion(result.stdout) : undefined;
  } catch (thrown) {
    if (thrown instanceof SpokeError && thrown.code === 'CANCELLED') throw thrown;
    return undefined;
  }
}
