import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '../../composition.ts';
import { composeHistory, composeServiceNotifier } from '../../composition-daemon.ts';
import { composeNoticeDesk } from '../../composition-notices.ts';
import type { Configuration } from '../../config/model.ts';
import { Daemon } from '../../daemon/daemon.ts';
import type { DaemonEvent } from '../../daemon/events.ts';
import { logLineOfDaemon } from '../../daemon/log.ts';
import { keepMemorySmall } from '../../daemon/memory.ts';
import { observationsOf } from '../../daemon/observations.ts';
import { RunCache } from '../../daemon/run-cache.ts';
import { loadDaemonSetup } from '../../daemon/setup.ts';
import type { NoticeDesk } from '../../engine/notice-desk.ts';
import { type Log, openLog, runLogSink } from '../../telemetry/log.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { loadOptions } from '../session.ts';

const REMIND_EVERY_MS = 60_000;

/** `spoke-backup daemon`: until SIGTERM or Ctrl-C, which end it with 0. */
export async function daemonCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  keepMemorySmall();
  const log = await openLog({ host: hostname() }, options.verbose === true ? 'debug' : options.quiet === true ? 'warn' : 'info');
  const warn = (message: string) => log({ level: 'warn', message, detail: {} });
  const service = composeServiceNotifier(warn);
  const voice = new Voice(log, context.signal);
  const daemon = new Daemon({
    clock: createSystemClock(),
    say: (event) => voice.say(event),
    load: () =>
      loadDaemonSetup(
        {
          load: loadOptions(options),
          shippedSchedules: join(context.root, 'schedules'),
          ...(options.cluster === undefined ? {} : { only: options.cluster }),
        },
        (configuration) => {
          voice.listenTo(configuration);
          const { runs, processes } = composeHistory(configuration);
          return {
            ...{ configuration, version: context.version, runs: new RunCache(runs, processes), say: (event) => voice.say(event) },
            runEvents: (cluster) => runLogSink(log, { cluster }),
          };
        },
      ),
    lifecycle: {
      ready: () => void service.ready('keeping the schedules'),
      reloading: () => void service.reloading(),
      stopping: () => void service.stopping('letting runs end'),
    },
  });
  const stopWatchdog = signsOfLife(service);
  const reload = () => void daemon.reload();
  process.on('SIGHUP', reload);
  try {
    await daemon.run(context.signal);
  } finally {
    process.off('SIGHUP', reload);
    stopWatchdog();
    await voice.quieten();
  }
}

function signsOfLife({ watchdogIntervalMs, alive }: ReturnType<typeof composeServiceNotifier>): () => void {
  if (watchdogIntervalMs === undefined) return () => undefined;
  const timer = setInterval(() => void alive(), watchdogIntervalMs);
  return () => clearInterval(timer);
}

/** Everything that the daemon says goes into the log, and what people have to know to them. */
class Voice {
  readonly #log: Log;
  readonly #signal: AbortSignal;
  #desk: NoticeDesk | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #reminding: NodeJS.Timeout;

  constructor(log: Log, signal: AbortSignal) {
    this.#log = log;
    this.#signal = signal;
    this.#reminding = setInterval(() => this.#keep(this.#desk?.report([])), REMIND_EVERY_MS);
  }

  listenTo(configuration: Configuration): void {
    this.#desk = composeNoticeDesk(configuration, this.#signal, (message) => this.#log({ level: 'warn', message, detail: {} }));
  }

  say(event: DaemonEvent): void {
    const line = logLineOfDaemon(event);
    if (line !== undefined) this.#log(line);
    const observations = observationsOf(event);
    if (observations.length > 0) this.#keep(this.#desk?.report(observations));
    this.#signalLife(event);
  }

  /** What is being said is said to its end. */
  async quieten(): Promise<void> {
    clearInterval(this.#reminding);
    await this.#last;
  }

  #signalLife(event: DaemonEvent): void {
    if (event.kind !== 'run-begun' && event.kind !== 'run-ended') return;
    const { cluster, run } = event;
    const runId = event.kind === 'run-begun' ? event.runId : event.end.runId;
    if (runId === '' || (event.kind === 'run-ended' && event.end.outcome === 'cancelled')) return;
    const signal = event.kind === 'run-begun' ? 'start' : event.end.outcome === 'succeeded' ? 'success' : 'failure';
    const schedule = run.trigger.kind === 'schedule' ? { schedule: run.trigger.name } : {};
    this.#keep(this.#desk?.signalLife({ cluster, signal, runId, ...schedule }));
  }

  #keep(said: Promise<void> | undefined): void {
    if (said !== undefined) this.#last = Promise.all([this.#last, said]);
  }
}
