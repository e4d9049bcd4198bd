import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asSpokeError } from '../errors.ts';
import { checkEnginePrograms } from './check-engines.ts';
import type { Finding } from './check-rules.ts';
import { checkRules } from './check-rules.ts';
import { checkSchedules } from './check-schedules.ts';
import type { ChannelConfig, ClusterConfig, Configuration, NodeConfig, RepositoryConfig } from './model.ts';
import type { SecretContext } from './resolve-secret.ts';
import { resolveSecret, resolveSecretText } from './resolve-secret.ts';
import type { SecretReference, SecretText } from './secrets.ts';

export type { Finding } from './check-rules.ts';

/** What checking looks at beside the configuration. */
export interface CheckContext extends SecretContext {
  /** The folder of the schedules that ship with this program. */
  readonly shippedSchedulesDirectory: string;
}

/**
 * Everything that is doubtful about a valid configuration: what follows from it alone, and what this machine says to
 * it (files, programs, secrets, schedules). Changes nothing; runs each passwordCommand. Errors come first.
 */
export async function checkConfiguration(configuration: Configuration, context: CheckContext): Promise<Finding[]> {
  const findings = [...checkRules(configuration), ...(await checkPermissions(configuration.path))];
  for (const cluster of configuration.clusters.values()) {
    const path = `clusters.${cluster.name}`;
    findings.push(...(await checkEnginePrograms(cluster, path, context.environment['PATH'])), ...(await checkPrograms(cluster, path)));
    for (const [index, node] of cluster.nodes.entries()) {
      findings.push(...(await checkNode(node, `${path}.nodes[${index}]`, context)));
    }
    for (const repository of cluster.repositories) {
      findings.push(...(await checkRepository(repository, `${path}.repositories[${repository.index - 1}]`, context)));
    }
    const location = { configurationPath: configuration.path, shippedDirectory: context.shippedSchedulesDirectory };
    findings.push(...(await checkSchedules(cluster, path, location)));
  }
  for (const [index, channel] of configuration.notices.channels.entries())
    findings.push(...(await checkChannel(channel, `notices.channels[${index}]`, context)));
  return findings.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

/** Whoever can write the file can run programs as us (passwordCommand, command). */
async function checkPermissions(path: string): Promise<Finding[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || (stats.mode & 0o022) === 0) return [];
  const message = `${path} can be changed by others than its owner, who could run programs through it`;
  return [{ severity: (stats.mode & 0o002) === 0 ? 'warning' : 'error', path: '', message, hint: `chmod go-w ${path}` }];
}

async function checkPrograms(cluster: ClusterConfig, path: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const directory = cluster.postgresqlBinDirectory;
  if (directory !== undefined && !(await isExecutable(join(directory, 'pg_ctl')))) {
    const hint = 'Name the directory that holds postgres and pg_ctl: pg_config --bindir';
    findings.push(error(`${path}.postgresqlBinDirectory`, `there is no pg_ctl in ${directory}`, hint));
  }
  return findings;
}

async function checkNode(node: NodeConfig, path: string, context: CheckContext): Promise<Finding[]> {
  const findings = [
    ...(await checkSecret(node.url, `${path}.url`, context)),
    ...(await checkSecret(node.password, `${path}.password`, context)),
  ];
  const { dataDirectory } = node;
  // On another host: that one's own check looks.
  if (dataDirectory === undefined || node.ssh !== undefined) return findings;
  const missing = await access(dataDirectory).then(
    () => false,
    (thrown: unknown) => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT',
  );
  if (missing) {
    const hint = 'Correct it; after a loss it is right, and a restore makes the directory.';
    findings.push(warning(`${path}.dataDirectory`, `there is no directory ${dataDirectory}`, hint));
  }
  return findings;
}

async function checkRepository(repository: RepositoryConfig, path: string, context: CheckContext): Promise<Finding[]> {
  const passphrase = await checkSecret(repository.encryptionPassphrase, `${path}.encryptionPassphrase`, context);
  if (repository.kind === 'local') return passphrase;
  return [
    ...passphrase,
    ...(await checkSecret(repository.accessKey, `${path}.accessKey`, context)),
    ...(await checkSecret(repository.secretKey, `${path}.secretKey`, context)),
    ...(await checkSecret(repository.sessionToken, `${path}.sessionToken`, context)),
    ...(await checkCaFile(repository.caFile, `${path}.caFile`)),
  ];
}

async function checkChannel(channel: ChannelConfig, path: string, context: CheckContext): Promise<Finding[]> {
  if (channel.kind === 'email')
    return [
      ...(await checkSecret(channel.password, `${path}.password`, context)),
      ...(await checkCaFile(channel.caFile, `${path}.caFile`)),
    ];
  const signing = channel.kind === 'webhook' ? await checkSecret(channel.signingSecret, `${path}.signingSecret`, context) : [];
  return [...(await checkSecret(channel.url, `${path}.url`, context)), ...signing];
}

async function checkCaFile(file: string | undefined, path: string): Promise<Finding[]> {
  if (file === undefined) return [];
  try {
    if ((await readFile(file, 'utf8')).includes('-----BEGIN CERTIFICATE-----')) return [];
    return [error(path, `${file} holds no certificate in PEM format`, `openssl x509 -in ${file} -noout -subject`)];
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown reason';
    return [error(path, `${file} cannot be read (${code})`, `ls -l ${file}`)];
  }
}

/** The secret is read and forgotten; what is reported of it is its reference. */
async function checkSecret(secret: SecretReference | SecretText | undefined, path: string, context: CheckContext): Promise<Finding[]> {
  if (secret === undefined) return [];
  try {
    await ('source' in secret ? resolveSecret(secret, context) : resolveSecretText(secret, context));
    return [];
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    const fault = asSpokeError(thrown);
    return [error(path, fault.message, fault.hint)];
  }
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function error(path: string, message: string, hint: string): Finding {
  return { severity: 'error', path, message, hint };
}

function warning(path: string, message: string, hint: string): Finding {
  return { severity: 'warning', path, message, hint };
}
