import { hostname } from 'node:os';
import { createSystemClock } from './adapters/clock/clock.ts';
import { createNotifier } from './adapters/notify/notifier.ts';
import type { ChannelSettings } from './adapters/notify/settings.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import { createNoticeStore } from './adapters/state/notice-store.ts';
import type { ChannelConfig, Configuration } from './config/model.ts';
import { resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { SecretReference } from './config/secrets.ts';
import { createNoticeDesk, type NoticeDesk } from './engine/notice-desk.ts';
import type { Notifier } from './ports/notifier.ts';

/** Who is told, by the configuration. Secrets are read when something is sent. */
export function composeNotifier({ notices }: Configuration, signal: AbortSignal): Notifier {
  const clock = createSystemClock();
  const secrets: SecretContext = { environment: process.env, processes: createProcessRunner(), signal };
  return createNotifier({ channels: notices.channels.map((channel) => channelSettings(channel, secrets)), host: hostname(), clock });
}

/** Where what happens is reported to whoever is to be told. Its signal ends what is being sent. */
export function composeNoticeDesk(configuration: Configuration, signal: AbortSignal, onFault: (message: string) => void): NoticeDesk {
  const { remindAfterHours, mostPerHour } = configuration.notices;
  return createNoticeDesk({
    ...{ notifier: composeNotifier(configuration, signal), store: createNoticeStore(configuration.stateDirectory) },
    ...{ clock: createSystemClock(), policy: { remindAfterSeconds: remindAfterHours * 3_600, mostPerHour }, signal, onFault },
  });
}

function channelSettings(channel: ChannelConfig, secrets: SecretContext): ChannelSettings {
  const reading = (reference: SecretReference) => () => resolveSecret(reference, secrets);
  const readingIfThere = (reference: SecretReference | undefined) => (reference === undefined ? undefined : reading(reference));
  const base = { name: channel.name, clusters: channel.clusters };
  switch (channel.kind) {
    case 'webhook':
      return {
        ...channel,
        ...base,
        topics: channel.topics,
        url: reading(channel.url),
        signingSecret: readingIfThere(channel.signingSecret),
      };
    case 'slack':
      return { ...channel, ...base, topics: channel.topics, url: reading(channel.url) };
    case 'email': {
      const { topics, caFile, user, password } = channel;
      return { ...channel, ...base, topics, caFile, user, password: readingIfThere(password) };
    }
    case 'healthchecks':
      return { ...channel, ...base, schedules: channel.schedules, url: reading(channel.url) };
  }
}
