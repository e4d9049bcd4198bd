import { composeCluster } from '../composition.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import { asSpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';

const RETRY_MS = 10_000;

export interface ShippingParts {
  readonly configuration: Configuration;
  readonly cluster: ClusterConfig;
  readonly clock: Clock;
  /** Something is in the way of all of it; what concerns one repository is seen where the archive is watched. */
  onFault(message: string): void;
}

/**
 * Has the cluster's engines bring on what archive_command has left on this machine, until the signal aborts; put together anew, with its
 * secrets, where it came to an end. Never throws.
 */
export async function keepShipping({ configuration, cluster, clock, onFault }: ShippingParts, signal: AbortSignal): Promise<void> {
  let said: string | undefined;
  const isOver = () => signal.aborted;
  while (!isOver()) {
    try {
      const { ports } = await composeCluster(configuration, cluster, signal, { askForPrimary: false });
      if (!ports.engine.shipsWal) return;
      said = undefined;
      await ports.engine.shipWal(signal);
    } catch (thrown) {
      const { message } = asSpokeError(thrown);
      if (message !== said && !isOver()) onFault(`WAL is not brought on: ${message}`);
      said = message;
    }
    if (!isOver()) await clock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
}
