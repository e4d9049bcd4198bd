import { readStartIdentity } from './process-table.ts';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, realpath, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { SpokeError } from '../errors.ts';
import type { InstanceReader, PostgresInstallation } from '../ports/instance.ts';
import { claimPorts } from './claim-ports.ts';
import { labConfigText } from './config-file.ts';
import { environmentOf, runTool, type LabContext } from './context.ts';
import type { Account } from './daemon.ts';
import {
  LAB_DIRECTORY_PREFIX,
  writeLabFile,
  type LabDescription,
  type LabEngine,
  type LabFile,
  type LabNode,
  type LabS3,
} from './description.ts';
import { labDown } from './down.ts';
import { layoutOf, nodeHome, nodeOf, REPLICATION_ROLE, SUPERUSER, type LabLayout } from './layout.ts';
import * as postgresql from './postgres.ts';
import { externalServer } from './s3-server/external-server.ts';
import { startS3Server } from './s3-server/server.ts';

export interface LabUpOptions {
  /** Absent or empty directory; a new one below the system's temporary directory where not given. */
  readonly directory?: string;
  /** Primary and standbys together, 1 to 5; 3 where not given. */
  readonly nodes?: number;
  /** Whether there is an S3 repository; true where not given. */
  readonly s3?: boolean;
  /** The newest that is installed where not given. */
  readonly postgresMajor?: number;
  /** A power of two from 1 to 1024; 16 where not given. */
  readonly walSegmentSizeMb?: number;
  /** With a tablespace called lab_tablespace; false where not given. */
  readonly tablespace?: boolean;
  /** What keeps its repositories; pgbackrest where not given. */
  readonly engine?: LabEngine;
  /** A path, or a name in PATH; pgbackrest where not given. */
  readonly pgbackrestCommand?: string;
}

export interface LabUpContext extends LabContext {
  readonly instances: Pick<InstanceReader, 'findInstallation' | 'findUser' | 'currentUser'>;
  /** Sets archiving up for the primary of that configuration file. Before the standbys are made, so that they get its settings too. */
  readonly prepareArchiving?: (configPath: string) => Promise<void>;
}

/**
 * Makes a disposable cluster and starts it: a primary, standbys on slots that stream, a local repository, an S3 server.
 * When it fails or is cancelled, whatever it had made is taken down again.
 */
export async function labUp(options: LabUpOptions, context: LabUpContext): Promise<LabDescription> {
  const started = performance.now();
  const plan = await planLab(options, context);
  await createLabDirectory(plan);
  try {
    const description = await build(plan, context);
    await writeLabFile(description.directory, await labFileOf(description, 'ready'));
    context.report(`lab: ready in ${((performance.now() - started) / 1000).toFixed(1)} s: ${description.directory}`);
    return description;
  } catch (thrown) {
    context.report('lab: failed, taking down what was made');
    await labDown(plan.layout.directory, { signal: new AbortController().signal, report: context.report });
    throw thrown;
  }
}

interface LabPlan {
  readonly layout: LabLayout;
  readonly postgres: postgresql.LabPostgres;
  readonly description: LabDescription;
  readonly wantsS3: boolean;
  readonly pgbackrestCommand: string;
}

const MAX_NODES = 5;

async function planLab(options: LabUpOptions, context: LabUpContext): Promise<LabPlan> {
  const { count, walSegmentSizeMb } = checkedSizes(options);
  const wantsS3 = options.s3 ?? true;
  const pgbackrestCommand = options.pgbackrestCommand ?? 'pgbackrest';
  const account = await serverAccount(context);
  const installation = await chooseInstallation(options.postgresMajor, context);
  const engine = options.engine ?? 'pgbackrest';
  const pgbackrest = engine === 'native' ? undefined : await runTool(context, { file: pgbackrestCommand, argv: ['version'] });
  const layout = layoutOf(await chooseDirectory(options.directory));
  const ports = await claimPorts(layout.directory, count);
  const nodes = ports.map((port, index) => nodeOf(layout.directory, index === 0 ? 'primary-1' : `replica-${index}`, port));
  const [primary, ...standbys] = nodes as [LabNode, ...LabNode[]];
  const external = wantsS3 ? externalS3(layout, context) : undefined;
  const description: LabDescription = {
    schema: 1,
    directory: layout.directory,
    config: layout.config,
    stateDirectory: layout.stateDirectory,
    primary,
    standbys,
    ...(external !== undefined && { s3: external }),
    passwordFile: layout.passwordFile,
    postgresVersion: installation.version,
    postgresqlBinDirectory: installation.binDirectory,
    engine,
    ...(pgbackrest && { pgbackrestVersion: pgbackrest.stdout.trim().replace(/^pgBackRest /, '') }),
    osUser: account.name,
  };
  // For the incrementals of PostgreSQL itself, which it has from 17 on.
  const summarizesWal = engine !== 'pgbackrest' && installation.major >= 17;
  const postgres = {
    layout,
    binDirectory: installation.binDirectory,
    account,
    walSegmentSizeMb,
    tablespace: options.tablespace ?? false,
    summarizesWal,
  };
  return { layout, postgres, description, wantsS3, pgbackrestCommand };
}

/** initdb takes powers of two from 1 to 1024 as segment size. */
function checkedSizes(options: LabUpOptions): { readonly count: number; readonly walSegmentSizeMb: number } {
  const { nodes: count = 3, walSegmentSizeMb = 16 } = options;
  if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) {
    throw new SpokeError('USAGE', `A lab has 1 to ${MAX_NODES} nodes, not ${count}.`);
  }
  if (!Number.isInteger(Math.log2(walSegmentSizeMb)) || walSegmentSizeMb < 1 || walSegmentSizeMb > 1024) {
    throw new SpokeError('USAGE', `A WAL segment has 1, 2, 4 … 1024 MB, not ${walSegmentSizeMb}.`);
  }
  return { count, walSegmentSizeMb };
}

/** PostgreSQL refuses to run as root: as root the servers run as the user that its packages make. */
async function serverAccount(context: LabUpContext): Promise<Account> {
  const current = context.instances.currentUser();
  if (current.uid !== 0) return current;
  const user = await context.instances.findUser('postgres');
  if (user !== undefined) return user;
  throw new SpokeError('REFUSED_PRECONDITION', 'As root the lab runs its servers as the user postgres, and there is none.', {
    hint: 'Make it: useradd --system postgres, or run lab up as an ordinary user.',
  });
}

/** Newest first. */
const SUPPORTED_MAJORS = [18, 17, 16, 15, 14, 13];

async function chooseInstallation(wanted: number | undefined, context: LabUpContext): Promise<PostgresInstallation> {
  for (const major of wanted === undefined ? SUPPORTED_MAJORS : [wanted]) {
    const found = await context.instances.findInstallation(major, { signal: context.signal });
    if (found !== undefined) return found;
  }
  const what = wanted === undefined ? `PostgreSQL (${SUPPORTED_MAJORS.at(-1)} to ${SUPPORTED_MAJORS[0]})` : `PostgreSQL ${wanted}`;
  throw new SpokeError('TOOL_MISSING', `${what} is not installed.`, { hint: 'apt-get install postgresql' });
}

async function chooseDirectory(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return join(await realpath(tmpdir()), LAB_DIRECTORY_PREFIX + randomBytes(4).toString('hex'));
  const path = resolve(wanted);
  await mkdir(dirname(path), { recursive: true });
  const real = join(await realpath(dirname(path)), basename(path));
  const content = await readdir(real).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return [];
    throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${real} cannot become a lab: ${thrown.message}`, { cause: thrown });
  });
  if (content.length === 0) return real;
  throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${real} is not empty.`, {
    hint: `If it is a lab: spoke-backup lab down --dir ${real}`,
  });
}

function externalS3(layout: LabLayout, context: LabContext): LabS3 | undefined {
  const server = externalServer(environmentOf(context));
  if (server === undefined) return undefined;
  return s3Description(layout, server, `/${LAB_DIRECTORY_PREFIX}${randomBytes(8).toString('hex')}`);
}

function s3Description(
  layout: LabLayout,
  server: Omit<LabS3, 'pathPrefix' | 'accessKeyFile' | 'secretKeyFile'>,
  pathPrefix: string,
): LabS3 {
  const { kind, description, endpoint, bucket, region, caFile } = server;
  const files = { accessKeyFile: layout.accessKey, secretKeyFile: layout.secretKey };
  return { kind, description, endpoint, bucket, region, pathPrefix, ...(caFile !== undefined && { caFile }), ...files };
}

async function labFileOf(description: LabDescription, state: LabFile['state']): Promise<LabFile> {
  const creator = { pid: process.pid, startIdentity: (await readStartIdentity(process.pid)) ?? '' };
  return { ...description, kind: 'spoke-backup lab', state, creator };
}

/** Makes it under another name with lab.json in it, then renames: there is never a lab directory that `labDown` does not know. */
async function createLabDirectory(plan: LabPlan): Promise<void> {
  const { directory } = plan.layout;
  const temporary = `${directory}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(temporary, { mode: 0o755 });
    await chmod(temporary, 0o755);
    await writeLabFile(temporary, await labFileOf(plan.description, 'creating'));
    await rmdir(directory).catch(() => undefined);
    await rename(temporary, directory);
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true });
    throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `The lab directory ${directory} cannot be made: ${String(thrown)}`, { cause: thrown });
  }
}

async function build(plan: LabPlan, context: LabUpContext): Promise<LabDescription> {
  const { layout, postgres } = plan;
  const { primary, standbys } = plan.description;
  await makeDirectories(plan);
  await writePasswords(plan);
  const starting = [startS3(plan, context), startPrimary(plan, context)] as const;
  // Both settle before anything is taken down, so that none of them starts a process behind its back.
  await Promise.allSettled(starting);
  const [s3] = await Promise.all(starting);
  const description = s3 === undefined ? plan.description : { ...plan.description, s3 };
  await writeLabFile(layout.directory, await labFileOf(description, 'creating'));
  await writeFile(layout.config, await labConfigText(description, layout, plan.pgbackrestCommand));
  if (context.prepareArchiving !== undefined) {
    context.report('lab: setting up archiving');
    await context.prepareArchiving(layout.config);
  }
  const copying = standbys.map((standby) => makeStandby(plan, standby, context));
  await Promise.allSettled(copying);
  await Promise.all(copying);
  await postgresql.waitForStreaming(postgres, primary, standbys, context);
  return description;
}

/** What the servers write belongs to their account; the lab itself stays ours. */
async function makeDirectories(plan: LabPlan): Promise<void> {
  const { layout, postgres, description } = plan;
  const owned = [
    layout.secrets,
    layout.stateDirectory,
    layout.repository,
    layout.pgbackrest,
    `${layout.pgbackrest}/lock`,
    `${layout.pgbackrest}/spool`,
  ];
  for (const node of [description.primary, ...description.standbys]) {
    const { home, tablespace } = nodeHome(node);
    owned.push(home, node.socketDirectory, ...(postgres.tablespace ? [tablespace] : []));
  }
  for (const path of owned) {
    await mkdir(path, { mode: 0o700 });
    await chown(path, postgres.account.uid, postgres.account.gid);
  }
}

async function writePasswords(plan: LabPlan): Promise<void> {
  const { layout } = plan;
  const superuser = randomBytes(18).toString('base64url');
  const replicator = randomBytes(18).toString('base64url');
  await writeSecret(plan, layout.superuserPassword, superuser);
  await writeSecret(plan, layout.replicationPassword, replicator);
  const lines = [`127.0.0.1:*:*:${SUPERUSER}:${superuser}`, `127.0.0.1:*:*:${REPLICATION_ROLE}:${replicator}`];
  await writeSecret(plan, layout.passwordFile, lines.join('\n'));
}

async function writeSecret(plan: LabPlan, path: string, content: string): Promise<void> {
  await writeFile(path, `${content}\n`, { mode: 0o600 });
  await chown(path, plan.postgres.account.uid, plan.postgres.account.gid);
}

async function startS3(plan: LabPlan, context: LabContext): Promise<LabS3 | undefined> {
  if (!plan.wantsS3) return undefined;
  const { layout, description } = plan;
  const server = await startS3Server({ labDirectory: layout.directory, directory: layout.s3, caDirectory: layout.tls }, context);
  await writeSecret(plan, layout.accessKey, server.accessKey);
  await writeSecret(plan, layout.secretKey, server.secretKey);
  return description.s3 ?? s3Description(layout, server, '/lab');
}

async function startPrimary(plan: LabPlan, context: LabContext): Promise<void> {
  const { postgres, description } = plan;
  context.report(`lab: PostgreSQL ${description.postgresVersion}, making ${description.primary.name}`);
  await postgresql.initialise(postgres, description.primary, context);
  await postgresql.configureNode(postgres, description.primary);
  await postgresql.startServer(postgres, description.primary, context);
  await postgresql.preparePrimary(postgres, description.primary, description.standbys, context);
}

async function makeStandby(plan: LabPlan, standby: LabNode, context: LabContext): Promise<void> {
  const { postgres, description } = plan;
  context.report(`lab: making ${standby.name}`);
  await postgresql.copyStandby(postgres, description.primary, standby, context);
  await postgresql.configureNode(postgres, standby);
  await postgresql.startServer(postgres, standby, context);
}
