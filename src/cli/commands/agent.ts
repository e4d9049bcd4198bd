import { hostname } from 'node:os';
import { claimPlace } from '../../composition-hosts.ts';
import { serveAgent, type ServedCluster } from '../../agent/serve.ts';
import { SpokeError } from '../../errors.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { openSession } from '../session.ts';

/** `spoke-backup agent`: nothing for people. Another spoke-backup starts it by ssh and speaks with it on standard input and output. */
export async function agentCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  await serveAgent({
    input: process.stdin,
    write: (line) => process.stdout.write(`${line}\n`),
    version: context.version,
    hostname: hostname(),
    open: (node) => openHere(node, options, context),
    signal: context.signal,
  });
}

/** Everything by the configuration of this host, on which the node lives whatever it says of ssh. */
async function openHere(node: string | null, options: GlobalOptions, context: CommandContext): Promise<ServedCluster> {
  const session = await openSession(options, context, { askForPrimary: false, here: node });
  const { cluster, configuration, ports, handlers } = session;
  if (node !== null && cluster.nodes.every(({ name }) => name !== node))
    throw new SpokeError('USAGE', `cluster ${cluster.name} has no node "${node}" in ${configuration.path}`);
  const place = `${cluster.name}.${node ?? 'services'}`;
  return { ports, handlers, claim: (signal) => claimPlace(configuration.stateDirectory, place, signal) };
}
