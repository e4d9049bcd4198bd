import type { NodeConfig } from '../config/model.ts';
import { asSpokeError, type ErrorCode } from '../errors.ts';
import type { ReadPorts } from '../ports/bundle.ts';
import type { Place } from '../ports/hosts.ts';
import type { InstanceReader } from '../ports/instance.ts';
import type { OperationContext } from '../ports/operation.ts';

/** Another host, or what is to answer there, is not as it must be: what others know is known all the same. */
const ABOUT_THE_HOST: readonly ErrorCode[] = [
  'HOST_UNREACHABLE',
  'HOST_KEY_UNKNOWN',
  'HOST_DENIED',
  'TOOL_MISSING',
  'TOOL_UNSUPPORTED',
  'TOOL_FAILED',
  'CONFIG_INVALID',
  'TIMED_OUT',
];

/** The machine that a place is on: this one, or the one at the other end of ssh. Throws as HostReader does. */
export async function instanceOf(
  place: Place | null | undefined,
  { hosts, instance }: Pick<ReadPorts, 'hosts' | 'instance'>,
  context: OperationContext,
): Promise<InstanceReader> {
  return place !== null && place !== undefined && hosts.isElsewhere(place) ? (await hosts.look(place, context)).instance : instance;
}

/** What can only be said on a host; why it is not known where that host does not tell. */
export async function orHostFault<T>(asking: Promise<T>): Promise<{ readonly found: T } | { readonly fault: string }> {
  try {
    return { found: await asking };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (!ABOUT_THE_HOST.includes(error.code)) throw error;
    return { fault: error.message };
  }
}

/** Whether two nodes are known to have one file system; undefined: what is on this host and no node. */
export function areOnOneHost(one: NodeConfig | undefined, other: NodeConfig | undefined): boolean {
  return one?.ssh?.host === other?.ssh?.host && one?.ssh?.port === other?.ssh?.port;
}
