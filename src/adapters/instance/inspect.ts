import { type BigIntStats, constants } from 'node:fs';
import { access, lstat, readdir, readlink, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { ControlData, DirectoryFacts, PostgresInstallation } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { hasDamagedControlFile, parseControlData } from './control-data.ts';
import { ifPresent } from '../common/file-error.ts';
import { ifReadable, translating } from './file-error.ts';
import { forbiddenBy } from './forbidden-by.ts';
import { identityOf } from './identity.ts';
import { majorOf } from './major-of.ts';
import { mountPointOf } from './mounts.ts';
import { findRunningServer } from './running-server.ts';
import { currentUser, ownerOf } from './users.ts';

const CONTROLDATA_TIMEOUT_MS = 10_000;
/** Of a running server the file can be read half written. */
const CONTROLDATA_ATTEMPTS = 3;

export interface InspectionTools {
  readonly runner: ProcessRunner;
  readonly findInstallation: (major: number, context: OperationContext) => Promise<PostgresInstallation | undefined>;
}

/** Everything about a directory, read only. Throws USAGE on a path that is not absolute. */
export async function inspectDirectory(path: string, tools: InspectionTools, context: OperationContext): Promise<DirectoryFacts> {
  const asked = absolutePath(path);
  const isSymbolicLink = (await ifReadable(lstat(asked)))?.isSymbolicLink() ?? false;
  const realPath = await resolveLinks(asked);
  const around = await inspectSurroundings(realPath, tools.runner);
  const base = { path: asked, realPath, isSymbolicLink, ...around };
  const stats = await statOrHidden(realPath);
  if (stats === 'hidden') return { ...base, ...NOTHING, kind: 'other', forbidden: hiddenReason(realPath) };
  if (stats === undefined)
    return { ...base, ...NOTHING, kind: isSymbolicLink ? 'not a directory' : 'absent', ...(await forbiddenBy(realPath)) };
  const found = {
    ...base,
    identity: identityOf(stats),
    owner: await ownerOf(Number(stats.uid), Number(stats.gid), tools.runner),
    mode: Number(stats.mode & 0o7777n),
  };
  if (!stats.isDirectory()) return { ...found, ...NOTHING, kind: 'not a directory', ...(await forbiddenBy(realPath)) };
  const names = await ifReadable(readdir(realPath));
  if (names === undefined) return { ...found, ...NOTHING, kind: 'other', forbidden: hiddenReason(realPath) };
  const running = await findRunningServer({ realPath, identity: found.identity }, tools.runner);
  return {
    ...found,
    kind: names.length === 0 ? 'empty' : 'other',
    hasRecoverySignal: names.includes('recovery.signal'),
    hasStandbySignal: names.includes('standby.signal'),
    hasPostgresqlConf: names.includes('postgresql.conf'),
    tablespaces: await readTablespaces(realPath),
    ...(await forbiddenBy(realPath)),
    ...(running === undefined ? {} : { running }),
    ...(await inspectDataDirectory(realPath, tools, context)),
  };
}

const NOTHING = { hasRecoverySignal: false, hasStandbySignal: false, hasPostgresqlConf: false, tablespaces: [] } as const;

function hiddenReason(realPath: string): string {
  return `${realPath} cannot be looked into by the user ${currentUser().name}`;
}

/** `hidden` where something bars the way: that is not the same as nothing being there. */
async function statOrHidden(path: string): Promise<BigIntStats | 'hidden' | undefined> {
  try {
    return await ifPresent(stat(path, { bigint: true }));
  } catch {
    return 'hidden';
  }
}

function absolutePath(path: string): string {
  if (isAbsolute(path) && !path.includes('\0')) return resolve(path);
  throw new SpokeError('USAGE', `"${path.replaceAll('\0', '\\0')}" is not an absolute path.`, { hint: 'Name the directory from / on.' });
}

/** Symbolic links resolved as far as anything is there; the rest of the path is kept. */
async function resolveLinks(path: string): Promise<string> {
  const real = await ifReadable(realpath(path));
  if (real !== undefined || path === '/') return real ?? path;
  const target = await ifReadable(readlink(path));
  if (target !== undefined) {
    const pointed = resolve(dirname(path), target);
    return pointed === path ? path : join(await resolveLinks(dirname(pointed)), basename(pointed));
  }
  return join(await resolveLinks(dirname(path)), basename(path));
}

/** What holds for the place, whether or not anything is there. */
async function inspectSurroundings(realPath: string, runner: ProcessRunner) {
  const existing = await nearestExisting(realPath);
  const parent = await nearestExisting(dirname(realPath));
  const fileSystem = await mountPointOf(existing);
  const space = await translating(`read the free space of ${existing}`, () => statfs(existing, { bigint: true }));
  const parentStats = await ifReadable(stat(parent));
  return {
    isMountPoint: fileSystem === realPath,
    fileSystem,
    freeBytes: space.bavail * space.bsize,
    parentWritable: (await ifReadable(access(parent, constants.W_OK | constants.X_OK).then(() => true))) ?? false,
    ...(parentStats === undefined ? {} : { parentOwner: await ownerOf(parentStats.uid, parentStats.gid, runner) }),
  };
}

async function nearestExisting(path: string): Promise<string> {
  let current = path;
  while (current !== '/' && (await ifReadable(stat(current))) === undefined) current = dirname(current);
  return current;
}

async function inspectDataDirectory(realPath: string, tools: InspectionTools, context: OperationContext) {
  const postgresMajor = await majorOf(realPath);
  if (postgresMajor === undefined) return {};
  const control = await readControlData(realPath, postgresMajor, tools, context);
  return { kind: 'postgres' as const, postgresMajor, ...(control === undefined ? {} : { control }) };
}

/** Undefined where the file is missing (an unfinished restore), damaged, or that major version is not installed. */
async function readControlData(
  realPath: string,
  major: number,
  tools: InspectionTools,
  context: OperationContext,
): Promise<ControlData | undefined> {
  if ((await ifPresent(lstat(join(realPath, 'global', 'pg_control')))) === undefined) return undefined;
  const installation = await tools.findInstallation(major, context);
  if (installation === undefined) return undefined;
  for (let attempt = 1; attempt <= CONTROLDATA_ATTEMPTS; attempt += 1) {
    const result = await tools.runner.run({
      file: join(installation.binDirectory, 'pg_controldata'),
      argv: ['-D', realPath],
      signal: context.signal,
      timeoutMs: CONTROLDATA_TIMEOUT_MS,
    });
    if (result.exitCode === 0 && !hasDamagedControlFile(result.stdout + result.stderrTail)) return parseControlData(result.stdout);
  }
  return undefined;
}

async function readTablespaces(realPath: string): Promise<DirectoryFacts['tablespaces']> {
  const directory = join(realPath, 'pg_tblspc');
  const names = ((await ifReadable(readdir(directory))) ?? []).filter((name) => /^\d+$/.test(name));
  const found: { oid: number; location: string }[] = [];
  for (const name of names) {
    const target = await ifReadable(readlink(join(directory, name)));
    if (target !== undefined) found.push({ oid: Number(name), location: resolve(directory, target) });
  }
  return found.sort((left, right) => left.oid - right.oid);
}
