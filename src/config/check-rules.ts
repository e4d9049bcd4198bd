import { checkEngineRules } from './check-engines.ts';
import type { Finding } from './finding.ts';
import type { ClusterConfig, Configuration, EmailChannelConfig, RepositoryConfig } from './model.ts';

export type { Finding } from './finding.ts';

/** What can be said of a configuration without looking at anything else. */
export function checkRules(configuration: Configuration): Finding[] {
  const clusters = [...configuration.clusters.values()];
  return [
    ...clusters.flatMap((cluster) => [
      ...checkRepositories(cluster),
      ...checkNodes(cluster),
      ...checkObjectives(cluster),
      ...checkExtraOptions(cluster),
      ...checkEngineRules(cluster),
    ]),
    ...checkSharedRepositories(clusters),
    ...checkDirectories(configuration),
    ...checkChannels(configuration),
  ];
}

function checkRepositories(cluster: ClusterConfig): Finding[] {
  const path = `clusters.${cluster.name}.repositories`;
  if (cluster.repositories.length === 0) {
    return [error(path, 'the cluster has no repository: nothing can be backed up', 'Add one of kind local or s3.')];
  }
  const findings = cluster.repositories.flatMap((repository) => checkRepository(repository, `${path}[${repository.index - 1}]`));
  const seen = new Map<string, RepositoryConfig>();
  for (const repository of cluster.repositories) {
    const place = placeOf(repository);
    const other = seen.get(place);
    if (other === undefined) seen.set(place, repository);
    else {
      const at = `${path}[${repository.index - 1}]`;
      findings.push(error(at, `${repository.name} is the same place as ${other.name}`, 'Give each repository a place of its own.'));
    }
  }
  if (cluster.repositories.every((repository) => repository.kind === 'local')) {
    findings.push(warning(path, 'every repository is on this machine, and is lost with it', 'Add a repository of kind s3.'));
  }
  return findings;
}

function checkRepository(repository: RepositoryConfig, path: string): Finding[] {
  if (repository.kind === 'local') {
    if (repository.path !== '/') return [];
    return [error(`${path}.path`, 'the root directory cannot be a repository', 'Choose a directory of its own.')];
  }
  const findings: Finding[] = [];
  if (!repository.verifyTls) {
    const hint = 'Name the certificate of its authority with caFile, and leave verifyTls out.';
    findings.push(warning(`${path}.verifyTls`, 'whoever is between this machine and the service can read and change backups', hint));
  }
  if (repository.uriStyle === 'host' && repository.bucket.includes('.')) {
    const message = `the certificate of ${repository.endpoint} does not cover ${repository.bucket}.${repository.endpoint}`;
    findings.push(warning(`${path}.uriStyle`, message, 'Set uriStyle: path, or choose a bucket without dots.'));
  }
  return findings;
}

function checkNodes(cluster: ClusterConfig): Finding[] {
  const path = `clusters.${cluster.name}.nodes`;
  const findings: Finding[] = [];
  if (cluster.nodes.every((node) => node.dataDirectory === undefined)) {
    const message = 'no node has a dataDirectory: backups cannot be taken here, only restored';
    findings.push(warning(path, message, 'Give the nodes of this machine their dataDirectory.'));
  }
  for (const [index, node] of cluster.nodes.entries()) {
    if (node.url !== undefined || node.socketDirectory !== undefined) continue;
    const message = `${node.name} has neither url nor socketDirectory: its state cannot be read by SQL`;
    findings.push(warning(`${path}[${index}]`, message, 'Add socketDirectory (with port), or url.'));
  }
  return findings;
}

function checkObjectives(cluster: ClusterConfig): Finding[] {
  const rpo = cluster.objectives?.rpoSeconds;
  const timeout = cluster.archiving.archiveTimeoutSeconds;
  const { streaming, tailSeconds } = cluster.wal;
  if (rpo === undefined || timeout <= rpo || (streaming && tailSeconds < rpo)) return [];
  const message = `WAL reaches the repositories only every ${timeout} s when little is written, which is more than the objective of ${rpo} s`;
  const path = `clusters.${cluster.name}.objectives.rpoSeconds`;
  return [warning(path, message, `Set archiving.archiveTimeoutSeconds to ${rpo} or less.`)];
}

function checkExtraOptions(cluster: ClusterConfig): Finding[] {
  const path = `clusters.${cluster.name}.pgbackrest.extraOptions`;
  const count = cluster.repositories.filter(({ engine }) => engine === 'pgbackrest').length;
  return Object.keys(cluster.pgbackrest.extraOptions).flatMap((option) => {
    if (option === 'archive-push-queue-max') {
      const message = 'PostgreSQL is told that WAL was archived when it was dropped: a gap that no restore gets over';
      return [warning(`${path}.${option}`, message, 'Remove it, and watch the free space of pg_wal.')];
    }
    const index = Number(/^repo(\d+)-/.exec(option)?.[1] ?? 1);
    if (index <= Math.max(count, 1)) return [];
    const message = `there is no repository ${index}: the first of pgBackRest's in the file is repo1`;
    return [error(`${path}.${option}`, message, 'Correct the number.')];
  });
}

/** Two clusters may share a place, but then not the stanza. */
function checkSharedRepositories(clusters: readonly ClusterConfig[]): Finding[] {
  const seen = new Map<string, string>();
  return clusters.flatMap((cluster) =>
    cluster.repositories.flatMap((repository) => {
      const place = `${placeOf(repository)}\0${cluster.stanza}`;
      const other = seen.get(place) ?? cluster.name;
      seen.set(place, other);
      if (other === cluster.name) return [];
      const path = `clusters.${cluster.name}.repositories[${repository.index - 1}]`;
      const message = `the cluster ${other} writes to the same stanza ${cluster.stanza} in the same place`;
      return [error(path, message, 'Give each cluster a stanza or a place of its own.')];
    }),
  );
}

interface Directory {
  readonly path: string;
  readonly key: string;
  readonly role: 'data directory' | 'repository' | 'spool' | 'state directory';
  /** Where it is, where that is not this host. */
  readonly host?: string | undefined;
}

/** Directories that must not be, or be inside, one another. */
function checkDirectories(configuration: Configuration): Finding[] {
  const directories: Directory[] = [
    { path: configuration.stateDirectory, key: 'stateDirectory', role: 'state directory' },
    ...[...configuration.clusters.values()].flatMap(directoriesOf),
  ];
  const findings: Finding[] = [];
  for (const [index, one] of directories.entries()) {
    for (const other of directories.slice(index + 1)) {
      const finding = checkPair(one, other);
      if (finding !== undefined) findings.push(finding);
    }
  }
  return findings;
}

function directoriesOf(cluster: ClusterConfig): Directory[] {
  const path = `clusters.${cluster.name}`;
  const { spoolPath } = cluster.pgbackrest;
  return [
    ...cluster.nodes.flatMap(({ dataDirectory, ssh }, index): Directory[] => {
      const key = `${path}.nodes[${index}].dataDirectory`;
      return dataDirectory === undefined ? [] : [{ path: dataDirectory, key, role: 'data directory', host: ssh?.host }];
    }),
    ...cluster.repositories.flatMap((repository): Directory[] =>
      repository.kind === 's3'
        ? []
        : [{ path: repository.path, key: `${path}.repositories[${repository.index - 1}].path`, role: 'repository' }],
    ),
    ...(spoolPath === undefined ? [] : [{ path: spoolPath, key: `${path}.pgbackrest.spoolPath`, role: 'spool' } as const]),
  ];
}

function checkPair(one: Directory, other: Directory): Finding | undefined {
  const roles = new Set([one.role, other.role]);
  if (!roles.has('data directory') && !(roles.has('repository') && roles.size === 2)) return undefined;
  // Of two hosts. What is no data directory is on this one, or on each.
  if (one.role === other.role && one.host !== other.host) return undefined;
  if (one.path === other.path) {
    return error(other.key, `${other.path} is ${one.key} already`, 'Give each a directory of its own.');
  }
  const [inner, outer] = isInside(one.path, other.path) ? [one, other] : [other, one];
  if (!isInside(inner.path, outer.path)) return undefined;
  const message = `the ${inner.role} ${inner.path} is inside the ${outer.role} ${outer.path} (${outer.key})`;
  return error(inner.key, message, 'Move one of them elsewhere: they are written, replaced and lost separately.');
}

/** A channel that waits for something that does not exist is never told anything. */
function checkChannels({ notices, clusters }: Configuration): Finding[] {
  const schedules = new Set([...clusters.values()].flatMap((cluster) => cluster.schedules));
  return notices.channels.flatMap((channel, index) => {
    const path = `notices.channels[${index}]`;
    const unknown = (channel.clusters ?? []).filter((cluster) => !clusters.has(cluster));
    const unused = channel.kind === 'healthchecks' ? (channel.schedules ?? []).filter((schedule) => !schedules.has(schedule)) : [];
    return [
      ...unknown.map((cluster) =>
        error(`${path}.clusters`, `there is no cluster ${cluster}`, `The clusters: ${[...clusters.keys()].join(', ')}`),
      ),
      ...unused.map((schedule) =>
        error(`${path}.schedules`, `no cluster has the schedule ${schedule}`, `The schedules: ${[...schedules].join(', ')}`),
      ),
      ...(channel.kind === 'email' ? checkMail(channel, path) : []),
    ];
  });
}

function checkMail({ security, host, user }: EmailChannelConfig, path: string): Finding[] {
  if (security !== 'none' || host === 'localhost' || host.startsWith('127.')) return [];
  const message = `what is sent to ${host} is not encrypted${user === undefined ? '' : ', nor is the password'}`;
  const make = user === undefined ? warning : error;
  return [make(`${path}.security`, message, 'Set security: starttls, or tls.')];
}

function isInside(path: string, directory: string): boolean {
  return path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** Engines keep apart what they keep in one place. */
function placeOf(repository: RepositoryConfig): string {
  if (repository.kind === 'local') return `${repository.engine} local ${repository.path}`;
  return `${repository.engine} s3 ${repository.endpoint}:${repository.port ?? 443}/${repository.bucket}${repository.pathPrefix}`;
}

function error(path: string, message: string, hint: string): Finding {
  return { severity: 'error', path, message, hint };
}

function warning(path: string, message: string, hint: string): Finding {
  return { severity: 'warning', path, message, hint };
}
