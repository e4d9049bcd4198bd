import { SpokeError } from '../../errors.ts';

/** Why one attempt failed. The reason holds neither secrets nor the words of the other side, which may repeat one. */
export class DeliveryFault extends Error {
  override readonly name = 'DeliveryFault';
  readonly isTransient: boolean;

  constructor(reason: string, isTransient: boolean) {
    super(reason);
    this.isTransient = isTransient;
  }
}

/** Of what was thrown only what is known to be harmless: the message of a foreign error may have an address with its key in it. */
export function faultOf(thrown: unknown): DeliveryFault {
  if (thrown instanceof DeliveryFault) return thrown;
  if (thrown instanceof SpokeError) return new DeliveryFault(thrown.message, false);
  const code = codeOf(thrown) ?? codeOf(thrown instanceof Error ? thrown.cause : undefined);
  return new DeliveryFault(code === undefined ? 'the connection failed' : `the connection failed (${code})`, true);
}

/** The name of an error, for example `ECONNREFUSED`. */
export function codeOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : undefined;
}
