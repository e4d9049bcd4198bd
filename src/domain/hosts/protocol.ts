import { asSpokeError, ERROR_KINDS, type ErrorCode, SpokeError } from '../../errors.ts';

/** What both ends of a connection to another host must agree on; raised with every change that an older end would misread. */
export const PROTOCOL_VERSION = 1;

/** A line longer than this is no message. Listings of pg_wal and logs are the longest. */
export const MOST_LINE_BYTES = 64 * 1024 * 1024;

/** The asking end says something so often, and the other ends once it has heard nothing for so long: it may be the only one that lives. */
export const PING_EVERY_MS = 10_000;
export const SILENCE_LIMIT_MS = 60_000;

/** What is asked of an agent; every request but `cancel` and `ping` is answered by exactly one result or error of its id. */
export type HostRequest =
  | { readonly id: number; readonly request: 'hello'; readonly protocol: number; readonly node: string | null }
  | {
      readonly id: number;
      readonly request: 'inspect';
      readonly what: string;
      readonly of: readonly unknown[];
      readonly timeoutMs?: number;
    }
  | { readonly id: number; readonly request: 'engine'; readonly postgresMajor: number | null }
  | { readonly id: number; readonly request: 'preview'; readonly step: unknown }
  | { readonly id: number; readonly request: 'run-step'; readonly step: unknown; readonly timeoutMs?: number }
  | { readonly request: 'cancel'; readonly id: number }
  | { readonly request: 'ping' };

/** A request that is answered, before it has its number. */
export type HostQuestion =
  Exclude<HostRequest, { readonly request: 'cancel' | 'ping' }> extends infer R ? (R extends unknown ? Omit<R, 'id'> : never) : never;

/** An error as it travels. */
export interface HostErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type HostAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: HostErrorMessage }
  | { readonly id: number; readonly progress: unknown };

/** What an agent says of itself. */
export interface HostHello {
  readonly protocol: number;
  /** Of spoke-backup there. */
  readonly version: string;
  /** As it calls itself. */
  readonly host: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string };
}

const BIGINT_KEY = '$bigint';

/** One line of JSON; bigints travel as `{"$bigint": "…"}`. */
export function encodeMessage(message: HostRequest | HostAnswer): string {
  return JSON.stringify(message, (_key, value: unknown) => (typeof value === 'bigint' ? { [BIGINT_KEY]: String(value) } : value));
}

/** The other way round. Undefined where the line is no message. */
export function decodeMessage(line: string): Readonly<Record<string, unknown>> | undefined {
  let message: unknown;
  try {
    message = JSON.parse(line, (_key, value: unknown) => bigintOf(value) ?? value);
  } catch {
    return undefined;
  }
  return typeof message === 'object' && message !== null && !Array.isArray(message) ? { ...message } : undefined;
}

function bigintOf(value: unknown): bigint | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const text: unknown = Reflect.get(value, BIGINT_KEY);
  return typeof text === 'string' && /^-?\d{1,40}$/.test(text) && Object.keys(value).length === 1 ? BigInt(text) : undefined;
}

/** An error for the other end: what it says, and never the stack or the cause. */
export function errorToMessage(thrown: unknown): HostErrorMessage {
  const { code, message, hint, details } = asSpokeError(thrown);
  return { code, message, hint, details };
}

/** What the other end threw, with the name of its host. A code that is not known here comes from another version: INTERNAL. */
export function errorOfMessage(error: unknown, host: string): SpokeError {
  const { code, message, hint, details } = (typeof error === 'object' && error !== null ? error : {}) as Partial<HostErrorMessage>;
  const isKnown = typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code);
  return new SpokeError(isKnown ? (code as ErrorCode) : 'INTERNAL', `${host}: ${String(message ?? 'an error without words')}`, {
    details: { ...(typeof details === 'object' ? details : {}), host },
    ...(typeof hint === 'string' ? { hint } : {}),
  });
}
