import { SpokeError } from '../../errors.ts';
import type { HeldServer } from '../../plan/change-primary-steps.ts';
import type { NodeObservation } from '../observe-cluster.ts';

/** Undefined where its host does not show a data directory. */
export function heldServerOf({ node, server, directory }: NodeObservation, urlPort: number | undefined): HeldServer | undefined {
  const { control, identity, postgresMajor, running } = directory ?? {};
  if (directory === undefined || control === undefined || identity === undefined) return undefined;
  const port = running?.port ?? node.port ?? urlPort;
  const major = server?.postgresMajor ?? postgresMajor;
  if (port === undefined || major === undefined) return undefined;
  return {
    node: node.name,
    dataDirectory: directory.path,
    identity,
    systemIdentifier: String(control.systemIdentifier),
    postgresMajor: major,
    service: node.service,
    port,
    socketDirectory: running?.socketDirectory ?? node.socketDirectory ?? '/tmp',
  };
}

/** Why a server cannot be held on to. */
export function notHeld({ node, hostFault }: NodeObservation): SpokeError {
  return new SpokeError('REFUSED_PRECONDITION', `the data directory of ${node.name} cannot be looked at, so it cannot be stopped`, {
    ...(hostFault === undefined ? {} : { details: { host: hostFault } }),
    hint: 'Say dataDirectory (and ssh, where it is on another host) of that node in the configuration: spoke-backup config check --online',
  });
}
