import type { Notice } from '../../domain/notices/notice.ts';
import { toEpochMillis } from '../../domain/time/instant.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Delivery, LifeSign, Notifier } from '../../ports/notifier.ts';
import { sendEmail } from './email.ts';
import { type DeliveryFault, faultOf } from './fault.ts';
import { ping } from './healthchecks.ts';
import type { ChannelSettings, HealthchecksSettings, NoticeChannelSettings } from './settings.ts';
import { sendSlack, sendWebhook } from './webhook.ts';

const MOST_ATTEMPTS = 3;
const FIRST_DELAY_MS = 1_000;

export interface NotifierParts {
  readonly channels: readonly ChannelSettings[];
  /** Said in each notice: where it comes from. */
  readonly host: string;
  readonly clock: Clock;
}

/** All channels at once, each by itself: what one is waiting for keeps no other from being told. */
export function createNotifier(parts: NotifierParts): Notifier {
  return {
    send: (notice, signal) =>
      Promise.all(
        noticeChannels(parts, notice).map((channel) => attempt(parts, channel, signal, () => sendTo(channel, notice, parts, signal))),
      ),
    signalLife: (sign, signal) =>
      Promise.all(deadMansSwitches(parts, sign).map((channel) => attempt(parts, channel, signal, () => ping(channel, sign, signal)))),
  };
}

function noticeChannels({ channels }: NotifierParts, { cluster, topic }: Notice): readonly NoticeChannelSettings[] {
  const takes = ({ clusters, topics }: NoticeChannelSettings) =>
    (cluster === undefined || clusters === undefined || clusters.includes(cluster)) &&
    (topic === undefined || topics === undefined || topics.includes(topic));
  return channels.filter((channel): channel is NoticeChannelSettings => channel.kind !== 'healthchecks' && takes(channel));
}

function deadMansSwitches({ channels }: NotifierParts, { cluster, schedule, signal }: LifeSign): readonly HealthchecksSettings[] {
  const takes = ({ clusters, schedules }: HealthchecksSettings) =>
    (clusters === undefined || clusters.includes(cluster)) &&
    (signal === 'test' || schedules === undefined || (schedule !== undefined && schedules.includes(schedule)));
  return channels.filter((channel): channel is HealthchecksSettings => channel.kind === 'healthchecks' && takes(channel));
}

function sendTo(channel: NoticeChannelSettings, notice: Notice, { host, clock }: NotifierParts, signal: AbortSignal): Promise<void> {
  switch (channel.kind) {
    case 'webhook':
      return sendWebhook(channel, notice, { host, nowSeconds: Math.floor(toEpochMillis(clock.now()) / 1000) }, signal);
    case 'slack':
      return sendSlack(channel, notice, host, signal);
    case 'email':
      return sendEmail(channel, notice, host, signal);
  }
}

async function attempt(
  { clock }: NotifierParts,
  { name, kind }: ChannelSettings,
  signal: AbortSignal,
  send: () => Promise<void>,
): Promise<Delivery> {
  for (let attempts = 1; ; attempts += 1) {
    const fault = await faultWhile(send);
    if (fault === undefined) return { channel: name, kind, result: 'delivered', attempts };
    const isLast = !fault.isTransient || attempts === MOST_ATTEMPTS || signal.aborted;
    const delayMs = FIRST_DELAY_MS * 2 ** (attempts - 1) * (0.5 + Math.random());
    if (isLast || !(await slept(clock, delayMs, signal))) return { channel: name, kind, result: 'failed', attempts, reason: fault.message };
  }
}

async function faultWhile(send: () => Promise<void>): Promise<DeliveryFault | undefined> {
  try {
    await send();
    return undefined;
  } catch (thrown) {
    return faultOf(thrown);
  }
}

/** False where the signal came first. */
async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch {
    return false;
  }
}
