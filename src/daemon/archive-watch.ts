import type { ClusterConfig } from '../config/model.ts';
import { type ArchiveFacts, type ArchiveSample, rememberLook } from '../domain/health/archive-facts.ts';
import { describeState } from '../domain/health/archive-findings.ts';
import { type ArchiveAssessment, assessArchive } from '../domain/health/assess-archive.ts';
import type { ReceiverState } from '../domain/streaming/receiver-state.ts';
import { asSpokeError } from '../errors.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { Clock } from '../ports/clock.ts';
import { observeArchive } from '../workflows/watch/observe.ts';
import { Alarm } from './alarm.ts';
import type { DaemonEventSink } from './events.ts';

const EVERY_MS = 60_000;

export interface WatchParts {
  readonly cluster: ClusterConfig;
  readonly clock: Clock;
  readonly say: DaemonEventSink;
  ports(signal: AbortSignal): Promise<ReadPorts & WritePorts>;
  /** Whether WAL is streamed, where this daemon does. */
  receiver?(): ReceiverState;
  /** What was looked at. Never throws. */
  onLooked?(facts: ArchiveFacts, signal: AbortSignal): Promise<void>;
  /** Something of it makes a backup due. */
  onBackupDue(): void;
}

/** Looks every minute how WAL reaches the repositories, says what has changed, and keeps the last look for whoever decides. */
export class ArchiveWatch {
  readonly #parts: WatchParts;
  #samples: readonly ArchiveSample[] = [];
  #last: ArchiveAssessment | undefined;
  /** How often: a look that began before does not count. */
  #forgotten = 0;
  readonly #states = new Map<string, string>();
  #failing: string | undefined;
  readonly #alarm: Alarm;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#alarm = new Alarm(parts.clock);
  }

  /** Undefined before the first look. */
  get last(): ArchiveAssessment | undefined {
    return this.#last;
  }

  /** What was seen does not hold any more: a backup was taken since. */
  forget(): void {
    this.#last = undefined;
    this.#forgotten += 1;
  }

  /** Until the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const ports = await this.#parts.ports(signal);
        await this.#look(ports, signal);
        this.#failing = undefined;
        await this.#alarm.sleep(EVERY_MS, signal);
      } catch (thrown) {
        await this.#sayFailure(thrown, signal);
      }
    }
  }

  async #look(ports: ReadPorts & WritePorts, signal: AbortSignal): Promise<void> {
    const { cluster, say, onBackupDue } = this.#parts;
    const begunAt = this.#forgotten;
    const { archive_command: expectedArchiveCommand } = ports.engine.archivingSettings();
    const receiver = this.#parts.receiver?.();
    const options = { expectedArchiveCommand, samples: this.#samples, ...(receiver === undefined ? {} : { receiver }) };
    const facts = await observeArchive(cluster, options, ports, { signal });
    await this.#parts.onLooked?.(facts, signal);
    this.#samples = rememberLook(facts);
    const now = assessArchive(facts);
    if (begunAt !== this.#forgotten) return;
    this.#last = now;
    for (const { repository, archive } of now.repositories) {
      if (this.#states.get(repository) === archive.state) continue;
      this.#states.set(repository, archive.state);
      say({ kind: 'archive-changed', cluster: cluster.name, repository, state: archive.state, described: describeState(archive) });
    }
    say({ kind: 'archive-looked', cluster: cluster.name, assessment: now });
    if (now.backupsDue.some(({ blockedBy }) => blockedBy === undefined)) onBackupDue();
  }

  /** Once for each cause. */
  async #sayFailure(thrown: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { code, message } = asSpokeError(thrown);
    if (this.#failing !== code)
      this.#parts.say({
        kind: 'note',
        cluster: this.#parts.cluster.name,
        level: 'warning',
        message: `the archive could not be looked at: ${message}`,
      });
    this.#failing = code;
    await this.#alarm.sleep(EVERY_MS, signal);
  }
}
