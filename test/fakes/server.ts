import { formatLsn, type Lsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import {
  parseTimelineHistory,
  rootHistory,
  type TimelineHistory,
  timelineHistoryFileName,
} from '../../src/domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import type { ReplicationFacts, ReplicationSlot } from '../../src/domain/topology/replication-facts.ts';
import { SpokeError } from '../../src/errors.ts';
import type { ServerStart } from '../../src/ports/instance.ts';
import type {
  ArchiverStatistics,
  RecoveryState,
  ServerObservation,
  StreamingObservation,
  WalObservation,
} from '../../src/ports/postgres-server.ts';
import {
  isComplete,
  isStartable,
  parseSettings,
  POSTGRES_MAJOR,
  readContent,
  readControl,
  SEGMENT_SIZE_BYTES,
  updateControl,
  whyClosed,
  writeContent,
} from './data-directory.ts';
import { type FakeDirectory, fileIn } from './file-system.ts';
import { FakeRecovery } from './recovery.ts';
import type { FakeWorld } from './world.ts';

type Phase = 'starting' | 'crash recovery' | 'archive recovery' | 'paused' | 'standby' | 'production' | 'dead';

/** Settings that a reload does not change. */
const NEEDS_RESTART = ['archive_mode', 'port', 'unix_socket_directories'];

/** A postmaster on a data directory. It outlives the process that started it, and not the machine. */
export class FakeServer {
  readonly pid: number;
  readonly directory: FakeDirectory;
  readonly start: ServerStart;
  phase: Phase;
  settings: Readonly<Record<string, string>>;
  archiver: ArchiverStatistics = { archivedCount: 0n, failedCount: 0n };
  #pendingRestart: readonly string[] = [];
  #recovery: FakeRecovery | undefined;
  readonly #world: FakeWorld;

  /** Throws POSTGRES_FAILED as a postmaster that dies at once. */
  constructor(world: FakeWorld, pid: number, directory: FakeDirectory, start: ServerStart) {
    this.#world = world;
    this.pid = pid;
    this.directory = directory;
    this.start = start;
    const closed = whyClosed(directory);
    if (closed !== undefined) throw failed(start, closed);
    if (!isStartable(directory)) throw failed(start, 'no data directory with a pg_control');
    if (fileIn(directory, 'postgresql.conf') === undefined && start.configFile === undefined)
      throw failed(start, 'could not access the server configuration file');
    const unknown = Object.keys(start.settings).find((name) => name.startsWith('no_such'));
    if (unknown !== undefined) throw failed(start, `unrecognized configuration parameter "${unknown}"`);
    if (!isComplete(world.fs, directory))
      world.violations.push(`a server was started on an incomplete data directory: ${start.dataDirectory}`);
    this.settings = this.#readSettings();
    this.phase = this.#firstPhase();
  }

  get address(): { readonly port: number; readonly socketDirectory: string } {
    return { port: this.start.port, socketDirectory: this.start.socketDirectory };
  }

  get slots(): Set<string> {
    return this.#world.slotsOn(this.directory.identity);
  }

  /** Where a standby that streams gets its WAL from. */
  get source(): FakeServer | undefined {
    if (this.phase !== 'standby') return undefined;
    const { primary_conninfo: conninfo = '', primary_slot_name: slot = '' } = this.settings;
    const port = Number(/\bport=(\d+)/.exec(conninfo)?.[1]);
    const found = [...this.#world.servers].find((server) => server.start.port === port && server.isWritable && server !== this);
    const isOurs = found !== undefined && readControl(found.directory)?.systemIdentifier === readControl(this.directory)?.systemIdentifier;
    const isToBeHad = isOurs && found.slots.has(slot) && !this.#world.lostSlots.has(slot);
    return isToBeHad && this.#isOnTheWayOf(found) ? found : undefined;
  }

  /** One that has come further than where the histories part cannot follow: "new timeline forked off current database system timeline before …". */
  #isOnTheWayOf(source: FakeServer): boolean {
    const content = readContent(this.directory);
    if (content === undefined || !source.isOrigin) return content !== undefined;
    const { timeline, ancestors } = this.#world.history.historyOf(this.#world.history.timeline);
    const fork = ancestors.find((one) => one.timeline === content.timeline);
    const end = content.timeline === timeline ? source.lsn() : fork?.switchLsn;
    return end !== undefined && parseLsn(content.lsn) <= end;
  }

  get isOrigin(): boolean {
    return this.directory.identity === this.#world.originIdentity;
  }

  get isWritable(): boolean {
    return this.phase === 'production';
  }

  /** Whether WAL that it finishes goes into the repositories. */
  get archives(): boolean {
    return this.isWritable && this.settings['archive_mode'] !== 'off' && (this.settings['archive_command'] ?? '') !== '';
  }

  acceptsConnections(): boolean {
    return (
      ['paused', 'standby', 'production'].includes(this.phase) ||
      (this.phase === 'archive recovery' && this.#recovery?.isConsistent === true)
    );
  }

  /** Whether it changes anything while time passes. */
  get isBusy(): boolean {
    return ['starting', 'crash recovery', 'archive recovery'].includes(this.phase) || (this.source?.lsn() ?? this.lsn()) !== this.lsn();
  }

  /** Lets some time pass. */
  tick(): void {
    if (this.phase === 'starting' || this.phase === 'crash recovery') {
      if (this.phase === 'crash recovery') this.log('LOG:  redo is not required');
      this.#enterProduction();
    } else if (this.phase === 'archive recovery' && this.#recovery !== undefined) {
      this.#replay(this.#recovery);
    } else if (this.source !== undefined) {
      const { timeline } = this.#world.history;
      writeContent(this.directory, this.source.lsn(), timeline);
      updateControl(this.directory, { state: 'in archive recovery', timeline });
    }
  }

  stop(mode: 'fast' | 'immediate'): void {
    if (mode === 'fast') this.#shutDownCleanly();
    this.kill();
  }

  /** As SIGKILL or a machine that goes down: pg_control keeps saying what it said. */
  kill(): void {
    if (this.isOrigin) writeContent(this.directory, this.#world.history.insertLsn, this.#world.history.timeline);
    this.phase = 'dead';
    this.#world.servers.delete(this);
  }

  /** pg_control has the timeline of a server that was promoted only from then on. */
  checkpoint(): void {
    if (this.isOrigin) updateControl(this.directory, { timeline: this.#world.history.timeline });
  }

  promote(): void {
    if (!['paused', 'archive recovery', 'standby'].includes(this.phase)) return;
    this.log('LOG:  received promote request');
    this.#recovery?.finish();
    this.directory.children.delete('standby.signal');
    this.#enterProduction();
  }

  reload(): void {
    const before = this.settings;
    const after = this.#readSettings();
    this.#pendingRestart = NEEDS_RESTART.filter((name) => before[name] !== after[name]);
    this.settings = {
      ...after,
      ...Object.fromEntries(NEEDS_RESTART.flatMap((name) => (before[name] === undefined ? [] : [[name, before[name]]]))),
    };
  }

  recoveryState(): RecoveryState {
    const recovery = this.#recovery;
    const control = readControl(this.directory);
    const time = recovery?.lastCommitTime;
    return {
      inRecovery: this.phase !== 'production',
      paused: this.phase === 'paused',
      ...(recovery === undefined || this.phase === 'production' ? {} : { replayLsn: recovery.position }),
      ...(time === undefined ? {} : { lastReplayedCommitTime: time }),
      timeline: this.phase === 'production' || recovery === undefined ? timelineIdOf(control?.timeline ?? 1) : recovery.timeline(),
    };
  }

  observe(): ServerObservation {
    const { inRecovery, timeline } = this.recoveryState();
    const control = readControl(this.directory);
    return {
      systemIdentifier: BigInt(control?.systemIdentifier ?? 0) as ServerObservation['systemIdentifier'],
      postgresMajor: POSTGRES_MAJOR,
      versionNumber: POSTGRES_MAJOR * 10_000,
      inRecovery,
      timeline: this.isOrigin ? this.#world.history.timeline : timeline,
      lsn: this.lsn(),
      dataDirectory: this.#world.fs.pathOf(this.directory.identity) ?? this.start.dataDirectory,
      walSegmentSizeBytes: SEGMENT_SIZE_BYTES,
      serverTime: this.#world.now(),
      archiver: this.archiver,
      replication: [],
      settings: { archive_mode: 'off', archive_command: '', archive_timeout: '0', ...this.settings },
      pendingRestart: this.#pendingRestart,
    };
  }

  /** What some repository lacks waits, as with pgBackRest, which acknowledges what is in all of them. */
  observeStreaming(slot: string): StreamingObservation {
    const { inRecovery } = this.recoveryState();
    const found = this.slots.has(slot) ? { slot: { name: slot, active: false } } : {};
    return { inRecovery, postgresMajor: 15, walSegmentSizeBytes: SEGMENT_SIZE_BYTES, flushLsn: this.lsn(), ...found };
  }

  observeReplication(): ReplicationFacts {
    const { inRecovery, paused, lastReplayedCommitTime: time } = this.recoveryState();
    const lsn = this.lsn();
    return {
      inRecovery,
      serverTime: this.#world.now(),
      ...(inRecovery ? { receivedLsn: lsn, replayedLsn: lsn } : { flushLsn: lsn }),
      ...(inRecovery && time !== undefined ? { replayedCommitTime: time } : {}),
      replayPaused: paused,
      ...(this.source === undefined ? {} : { receiver: { status: 'streaming', timeline: this.#world.history.timeline } }),
      senders: [],
      slots: [...this.slots].map((name) => this.#slot(name)),
      conflicts: { snapshot: 0n, lock: 0n, others: 0n },
    };
  }

  #slot(name: string): ReplicationSlot {
    const reader = [...this.#world.servers].find(({ source, settings }) => source === this && settings['primary_slot_name'] === name);
    const base = { name, active: reader !== undefined, kind: 'physical', temporary: false } as const;
    return this.#world.lostSlots.has(name) ? { ...base, walStatus: 'lost' } : { ...base, walStatus: 'reserved', restartLsn: this.lsn() };
  }

  /** Of the timeline that pg_control says, by the file in pg_wal. */
  timelineHistory(): TimelineHistory {
    const timeline = timelineIdOf(readControl(this.directory)?.timeline ?? 1);
    const file = fileIn(this.directory, `pg_wal/${timelineHistoryFileName(timeline)}`);
    return file === undefined ? rootHistory(timeline) : parseTimelineHistory(file.content, timeline);
  }

  observeWal(): WalObservation {
    const { history, repositories } = this.#world;
    const closed = this.isOrigin && this.settings['archive_mode'] === 'on' ? history.closedSegments() : [];
    const waiting = closed
      .filter(({ name }) => repositories.some((repository) => !repository.segments.has(name)))
      .map(({ name, closedAt }) => ({ file: name, since: closedAt }));
    return { queue: { count: waiting.length, waiting }, walBytes: BigInt(SEGMENT_SIZE_BYTES), slots: [] };
  }

  lsn(): Lsn {
    if (this.isOrigin) return this.#world.history.insertLsn;
    return this.#recovery?.position ?? parseLsn(readContent(this.directory)?.lsn ?? '0/0');
  }

  log(line: string): void {
    const { fs } = this.#world;
    const before = fs.readFile(this.start.logFile);
    if (before !== undefined) fs.writeFile(this.start.logFile, `${before}2026-11-22 21:00:00.000 UTC [${this.pid}] ${line}\n`);
  }

  #readSettings(): Readonly<Record<string, string>> {
    const text = (name: string) => parseSettings(fileIn(this.directory, name)?.content ?? '');
    return { ...text('postgresql.conf'), ...text('postgresql.auto.conf'), ...this.start.settings };
  }

  #firstPhase(): Phase {
    this.log('LOG:  starting PostgreSQL 15.14 on a fake machine');
    if (fileIn(this.directory, 'recovery.signal') !== undefined) {
      const repository = /^fake-archive-get (\S+)$/.exec(this.settings['restore_command'] ?? '')?.[1];
      this.#recovery = new FakeRecovery(this.directory, this.settings, {
        history: this.#world.history,
        repository: this.#world.repositories.find((one) => one.name === repository),
        log: (line) => this.log(line),
      });
      return 'archive recovery';
    }
    if (fileIn(this.directory, 'standby.signal') !== undefined) return 'standby';
    const wasClean = readControl(this.directory)?.state === 'shut down';
    if (!wasClean) this.log('LOG:  database system was not properly shut down; automatic recovery in progress');
    return wasClean ? 'starting' : 'crash recovery';
  }

  #replay(recovery: FakeRecovery): void {
    const outcome = recovery.replaySegment();
    if (outcome === 'on') return;
    if (outcome === 'inconsistent') this.kill();
    else if (outcome === 'no WAL') {
      this.log('FATAL:  could not locate required checkpoint record');
      this.kill();
    } else if (outcome === 'stopped' && recovery.action === 'pause') {
      this.log('LOG:  pausing at the end of recovery');
      this.phase = 'paused';
    } else if (outcome === 'end of WAL' && (recovery.hasTarget || !recovery.isConsistent)) {
      this.log(
        `FATAL:  ${recovery.hasTarget ? 'recovery ended before configured recovery target was reached' : 'WAL ends before end of online backup'}`,
      );
      this.kill();
    } else {
      recovery.finish();
      this.#enterProduction();
    }
  }

  #enterProduction(): void {
    this.phase = 'production';
    updateControl(this.directory, { state: 'in production' });
    this.log('LOG:  database system is ready to accept connections');
    if (this.start.listenAddresses !== '') this.#world.onPrimary(this);
    if (this.archives && !this.isOrigin) this.#world.archivedBy.push(this.#world.fs.pathOf(this.directory.identity) ?? '');
  }

  #shutDownCleanly(): void {
    if (this.phase === 'production' || this.phase === 'starting') {
      const end = formatLsn(this.lsn());
      updateControl(this.directory, { state: 'shut down', redo: end, consistentAt: end });
    } else if (this.phase === 'standby') {
      const end = formatLsn(this.lsn());
      updateControl(this.directory, { state: 'shut down in recovery', redo: end, consistentAt: end });
    } else if (this.#recovery !== undefined) {
      const position = this.#recovery.isConsistent ? { consistentAt: formatLsn(this.#recovery.position) } : {};
      updateControl(this.directory, { state: 'shut down in recovery', ...position });
    }
  }
}

function failed(start: ServerStart, why: string): SpokeError {
  return new SpokeError('POSTGRES_FAILED', `The server in ${start.dataDirectory} did not start: ${why}`);
}
