import type { Notice } from '../../domain/notices/notice.ts';
import { addressOf, post } from './http.ts';
import type { SlackSettings, WebhookSettings } from './settings.ts';
import { noticeToJson, noticeToSlack } from './texts.ts';

const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' };

/** Generic JSON, signed where there is a secret for it. Throws DeliveryFault or SECRET_UNAVAILABLE. */
export async function sendWebhook(
  { url, signingSecret }: WebhookSettings,
  notice: Notice,
  { host, nowSeconds }: { readonly host: string; readonly nowSeconds: number },
  signal: AbortSignal,
): Promise<void> {
  const body = noticeToJson(notice, host);
  const signature = signingSecret === undefined ? {} : signatureOf(body, await signingSecret(), nowSeconds);
  await post(addressOf(await url()), { body, headers: { ...JSON_HEADERS, ...signature } }, signal);
}

/** The time is signed, too, so that what was recorded cannot be sent again much later. */
function signatureOf(body: string, secret: string, nowSeconds: number): Record<string, string> {
  const { createHmac } = process.getBuiltinModule('node:crypto');
  const timestamp = String(nowSeconds);
  const hex = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
  return { 'x-spoke-backup-timestamp': timestamp, 'x-spoke-backup-signature': `sha256=${hex}` };
}

/** An incoming webhook of Slack, or of what is compatible. Throws DeliveryFault or SECRET_UNAVAILABLE. */
export async function sendSlack({ url }: SlackSettings, notice: Notice, host: string, signal: AbortSignal): Promise<void> {
  await post(addressOf(await url()), { body: noticeToSlack(notice, host), headers: JSON_HEADERS }, signal);
}
