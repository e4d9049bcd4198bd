import type { NoticeTopic } from '../../domain/notices/notice.ts';

/** Read when it is needed, and never kept: secrets are rotated. Rejects with SECRET_UNAVAILABLE. */
export type ReadSecret = () => Promise<string>;

interface ChannelBase {
  readonly name: string;
  /** Undefined: of all. */
  readonly clusters: readonly string[] | undefined;
}

/** A channel for notices. */
interface NoticeChannelBase extends ChannelBase {
  /** Undefined: about everything. */
  readonly topics: readonly NoticeTopic[] | undefined;
}

export interface WebhookSettings extends NoticeChannelBase {
  readonly kind: 'webhook';
  readonly url: ReadSecret;
  /** Signs what is sent, so that the receiver knows whom it is from. */
  readonly signingSecret: ReadSecret | undefined;
}

export interface SlackSettings extends NoticeChannelBase {
  readonly kind: 'slack';
  readonly url: ReadSecret;
}

export interface EmailSettings extends NoticeChannelBase {
  readonly kind: 'email';
  readonly host: string;
  readonly port: number;
  /** `starttls`: refused where the server does not offer it. `none`: in the clear. */
  readonly security: 'starttls' | 'tls' | 'none';
  readonly caFile: string | undefined;
  readonly user: string | undefined;
  readonly password: ReadSecret | undefined;
  readonly from: string;
  readonly to: readonly string[];
}

export interface HealthchecksSettings extends ChannelBase {
  readonly kind: 'healthchecks';
  readonly url: ReadSecret;
  /** Undefined: of all. */
  readonly schedules: readonly string[] | undefined;
}

export type NoticeChannelSettings = WebhookSettings | SlackSettings | EmailSettings;
export type ChannelSettings = NoticeChannelSettings | HealthchecksSettings;
