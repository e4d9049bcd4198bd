import type { LifeSign } from '../../ports/notifier.ts';
import { DeliveryFault } from './fault.ts';
import { addressOf, post } from './http.ts';
import type { HealthchecksSettings } from './settings.ts';

const PATHS: Readonly<Record<LifeSign['signal'], string>> = { start: '/start', success: '', failure: '/fail', test: '/log' };

/** Pings healthchecks.io, or what speaks its language. Throws DeliveryFault or SECRET_UNAVAILABLE. */
export async function ping({ url }: HealthchecksSettings, sign: LifeSign, signal: AbortSignal): Promise<void> {
  const address = addressOf(await url());
  address.pathname = `${address.pathname.replace(/\/+$/, '')}${PATHS[sign.signal]}`;
  address.searchParams.set('rid', uuidOf(sign.runId));
  const answer = await post(address, { body: `${sign.runId}\n`, headers: { 'content-type': 'text/plain; charset=utf-8' } }, signal);
  // It answers with 200 also where it takes no notice.
  if (/^OK \((?:not found|rate limited)\)/.test(answer))
    throw new DeliveryFault(`it does not know this check, or was asked too often`, false);
}

/** Healthchecks brings start and end together by a UUID: the same one for the same run (RFC 9562, version 8). */
function uuidOf(runId: string): string {
  const bytes = process.getBuiltinModule('node:crypto').createHash('sha256').update(runId).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
