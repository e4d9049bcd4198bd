import { composeCluster } from '../composition.ts';
import type { Finding } from '../config/check.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { SecretContext } from '../config/resolve-secret.ts';
import { asSpokeError } from '../errors.ts';
import type { ServerObservation } from '../ports/postgres-server.ts';
import { observeServers, onlyPrimary } from '../workflows/observe-cluster.ts';

/** What the servers of a cluster have to be like for native backups, and what to type where they are not. */
export async function checkServers(
  configuration: Configuration,
  cluster: ClusterConfig,
  path: string,
  { signal }: SecretContext,
): Promise<readonly Finding[]> {
  const native = cluster.repositories.find(({ engine }) => engine === 'native');
  if (native === undefined) return [];
  try {
    const { ports } = await composeCluster(configuration, cluster, signal, { askForPrimary: false });
    const nodes = await observeServers(cluster, ports, { signal });
    const primary = onlyPrimary(nodes);
    if (primary === undefined) {
      const message = 'no primary answers, or more than one does: nothing can be said of what native backups need of it';
      return [{ severity: 'warning', path: `${path}.nodes`, message, hint: 'See: spoke-backup status' }];
    }
    const at = `${path}.nodes[${cluster.nodes.findIndex(({ name }) => name === primary.node.name)}]`;
    const findings = serverFindings(primary.server, at);
    await ports.catalog.readVersion(native.name, { signal });
    return findings;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const { message, hint } = asSpokeError(thrown);
    return [{ severity: 'error', path: `${path}.native`, message, hint }];
  }
}

/** pg_basebackup: a role that may replicate, a free WAL sender (a second one while WAL is streamed), wal_level replica. */
export function serverFindings({ settings, postgresMajor, mayReplicate, replication }: ServerObservation, path: string): Finding[] {
  const findings: Finding[] = [];
  const { wal_level: level, max_wal_senders: senders, summarize_wal: summarize } = settings;
  if (mayReplicate === false) {
    const message = 'its role may not replicate, which a native backup needs';
    findings.push({ severity: 'error', path: `${path}.url`, message, hint: 'As a superuser: ALTER ROLE <role> REPLICATION' });
  }
  if (level === 'minimal') {
    const hint = "ALTER SYSTEM SET wal_level = 'replica', then restart it.";
    findings.push({ severity: 'error', path, message: 'its wal_level is minimal: no backup can be taken while it runs', hint });
  }
  if (senders !== undefined && Number(senders) <= replication.length) {
    const message = `${replication.length} of its ${senders} WAL senders are taken: a native backup needs one`;
    findings.push({ severity: 'error', path, message, hint: 'Raise max_wal_senders, then restart it.' });
  }
  if (postgresMajor >= 17 && summarize === 'off') {
    const message = 'its summarize_wal is off: every incremental becomes a full backup';
    findings.push({ severity: 'warning', path, message, hint: 'ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();' });
  }
  return findings;
}
