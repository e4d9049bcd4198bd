import * as z from 'zod/mini';
import { decodeMessage, type HostRequest, PROTOCOL_VERSION } from '../domain/hosts/protocol.ts';
import { SpokeError } from '../errors.ts';
import { line, major, wholeNumber } from './shape-values.ts';

const id = wholeNumber;
const timeoutMs = z.optional(wholeNumber);

const REQUEST = z.discriminatedUnion('request', [
  z.object({ request: z.literal('hello'), id, protocol: z.number(), node: z.nullable(line) }),
  z.strictObject({ request: z.literal('inspect'), id, what: line, of: z.array(z.unknown()), timeoutMs }),
  z.strictObject({ request: z.literal('engine'), id, postgresMajor: z.nullable(major) }),
  z.strictObject({ request: z.literal('preview'), id, step: z.unknown() }),
  z.strictObject({ request: z.literal('run-step'), id, step: z.unknown(), timeoutMs }),
  z.strictObject({ request: z.literal('cancel'), id }),
  z.strictObject({ request: z.literal('ping') }),
]);

/** What a line asks for; with an `id` alone where it asks for nothing that is known. Throws USAGE for what is no message at all. */
export function readRequest(text: string): HostRequest | { readonly id: number; readonly request: undefined } {
  const message = decodeMessage(text);
  const parsed = REQUEST.safeParse(message);
  if (parsed.success) return parsed.data as HostRequest;
  const number = message?.['id'];
  if (typeof number === 'number') return { id: number, request: undefined };
  throw new SpokeError('USAGE', 'standard input has to be what another spoke-backup sends: nobody types it', {
    hint: `Name the host with ssh in the configuration of a node; the protocol is version ${PROTOCOL_VERSION}.`,
  });
}
