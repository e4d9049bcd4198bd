import { createPatroni } from './adapters/patroni/adapter.ts';
import type { ClusterConfig } from './config/model.ts';
import { resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { ReadPorts, WritePorts } from './ports/bundle.ts';
import type { Clock } from './ports/clock.ts';

/** How the Patroni of a cluster is reached; nothing where it has none. Connects to nothing yet. */
export function patroniPorts(
  { patroni }: Pick<ClusterConfig, 'patroni'>,
  secrets: SecretContext,
  clock: Clock,
): Pick<ReadPorts, 'patroni'> & Pick<WritePorts, 'patroniControl'> {
  if (patroni === undefined) return {};
  const { urls, scope, user, password, caFile } = patroni;
  const access = {
    urls,
    scope,
    credentials: async () =>
      user === undefined || password === undefined ? undefined : { user, password: await resolveSecret(password, secrets) },
    ...(caFile === undefined ? {} : { caFile }),
  };
  const adapter = createPatroni({ access, clock });
  return { patroni: adapter, patroniControl: adapter };
}
