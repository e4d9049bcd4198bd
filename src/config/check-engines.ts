import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Finding } from './finding.ts';
import type { ClusterConfig, EngineName } from './model.ts';

/** What the configuration says of an engine that keeps no repository, and of keys that cannot do what somebody may expect of them. */
export function checkEngineRules(cluster: ClusterConfig): Finding[] {
  const path = `clusters.${cluster.name}`;
  return [...checkUnused(cluster, path), ...checkEncryption(cluster, path), ...checkServerSideEncryption(cluster, path)];
}

function checkUnused(cluster: ClusterConfig, path: string): Finding[] {
  if (cluster.repositories.length === 0) return [];
  const findings: Finding[] = [];
  const { command, processMax, compressType, ...rest } = cluster.pgbackrest;
  const { extraOptions, ...optional } = rest;
  const isDefault = command === 'pgbackrest' && processMax === 2 && compressType === 'zst';
  if (!keeps(cluster, 'pgbackrest') && !(isDefault && Object.keys({ ...optional, ...extraOptions }).length === 0)) {
    const hint = 'Remove it, or name a repository with engine: pgbackrest.';
    findings.push(warning(`${path}.pgbackrest`, 'has no use: pgBackRest keeps none of the repositories', hint));
  }
  const { native } = cluster;
  const isPlain = native.compressType === 'zst' && native.compressLevel === 1 && native.withoutIncremental === 'full';
  if (!keeps(cluster, 'native') && !(isPlain && native.maxRateKib === undefined && native.backupFrom === 'primary')) {
    const hint = 'Remove it, or name a repository with engine: native.';
    findings.push(warning(`${path}.native`, 'has no use: none of the repositories is native', hint));
  }
  return findings;
}

/** Somebody who believes that everything is encrypted must learn what is not. */
function checkEncryption({ encryption, repositories, wal, ...cluster }: ClusterConfig, path: string): Finding[] {
  if (encryption === undefined) return [];
  const findings: Finding[] = [];
  const others = repositories.filter(({ engine, encryptionPassphrase }) => engine === 'pgbackrest' && encryptionPassphrase === undefined);
  if (others.length > 0) {
    const message = `does not encrypt what pgBackRest keeps: ${others.map(({ name }) => name).join(', ')}`;
    findings.push(warning(`${path}.encryption`, message, 'A new repository of pgBackRest is encrypted with encryptionPassphrase.'));
  }
  const isUsed = wal.streaming || keeps({ ...cluster, repositories }, 'native');
  if (isUsed && encryption.identityFile === undefined) {
    const message = 'without it nothing that is encrypted can be restored or verified here';
    findings.push(
      warning(`${path}.encryption.identityFile`, message, 'Name a file with a private key, or restore on a host that has one.'),
    );
  }
  return findings;
}

/** pgBackRest asks for encryption by a named key (repo-s3-kms-key-id), or by one that it sends along, which we do not do. */
function checkServerSideEncryption({ repositories }: ClusterConfig, path: string): Finding[] {
  return repositories.flatMap((repository) => {
    if (repository.engine !== 'pgbackrest' || repository.kind !== 's3' || repository.serverSideEncryption?.type !== 'AES256') return [];
    const message = 'pgBackRest cannot ask for AES256: what it writes is encrypted only where the bucket does that by itself';
    const hint = 'Set the default encryption of the bucket, or name a key: type aws:kms.';
    return [warning(`${path}.repositories[${repository.index - 1}].serverSideEncryption`, message, hint)];
  });
}

/** Programs that the engines of the cluster start, where one can tell without asking a server. */
export async function checkEnginePrograms(cluster: ClusterConfig, path: string, searchPath: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { command } = cluster.pgbackrest;
  if (keeps(cluster, 'pgbackrest') && !(await isThere(command, command.includes('/') ? undefined : searchPath))) {
    findings.push(error(`${path}.pgbackrest.command`, `there is no program ${command}`, 'Install pgbackrest, or correct its path.'));
  }
  if (!keeps(cluster, 'native')) return findings;
  const compressor = cluster.native.compressType === 'lz4' ? 'lz4' : 'zstd';
  if (!(await isThere(compressor, searchPath)))
    findings.push(
      error(`${path}.native.compressType`, `there is no program ${compressor}`, `Install ${compressor}, also where PostgreSQL runs.`),
    );
  if (cluster.encryption !== undefined && !(await isThere('age', searchPath)))
    findings.push(error(`${path}.encryption`, 'there is no program age', 'Install age, also where PostgreSQL runs.'));
  const directory = cluster.postgresqlBinDirectory;
  if (directory !== undefined && !(await isThere(join(directory, 'pg_basebackup'))))
    findings.push(
      error(
        `${path}.postgresqlBinDirectory`,
        `there is no pg_basebackup in ${directory}`,
        'It comes with the client programs of PostgreSQL.',
      ),
    );
  return findings;
}

function keeps({ repositories }: Pick<ClusterConfig, 'repositories'>, engine: EngineName): boolean {
  return repositories.some((repository) => repository.engine === engine);
}

/** Whether a program can be started: a path, or a name in a search path. Without one a name is taken to be there. */
async function isThere(program: string, searchPath?: string): Promise<boolean> {
  if (!isAbsolute(program) && searchPath === undefined) return true;
  const candidates = isAbsolute(program) ? [program] : (searchPath ?? '').split(delimiter).map((directory) => join(directory, program));
  for (const candidate of candidates) {
    const isExecutable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isExecutable) return true;
  }
  return false;
}

function error(path: string, message: string, hint: string): Finding {
  return { severity: 'error', path, message, hint };
}

function warning(path: string, message: string, hint: string): Finding {
  return { severity: 'warning', path, message, hint };
}
