import type { ClusterConfig } from './config/model.ts';
import { addPassword, urlHasPassword } from './config/postgres-url.ts';
import { resolveSecret, resolveSecretText, type SecretContext } from './config/resolve-secret.ts';
import { SpokeError } from './errors.ts';
import type { ClusterSecrets } from './ports/cluster-secrets.ts';

/** The passwords of a cluster, read each time that one is needed. */
export function createSecrets(cluster: ClusterConfig, context: SecretContext): ClusterSecrets {
  return {
    async replicationPassword() {
      const { password } = cluster.replication;
      return password === undefined ? undefined : resolveSecret(password, context);
    },
    async backupPassword() {
      const password = cluster.backupRole?.password;
      return password === undefined ? undefined : resolveSecret(password, context);
    },
    async bouncerAdminUrl(name) {
      const bouncer = cluster.pgbouncer.find((one) => one.name === name);
      if (bouncer === undefined) throw new SpokeError('USAGE', `cluster ${cluster.name} has no PgBouncer "${name}"`);
      const url = await resolveSecretText(bouncer.adminUrl, context);
      return bouncer.password === undefined || urlHasPassword(url) ? url : addPassword(url, await resolveSecret(bouncer.password, context));
    },
  };
}
