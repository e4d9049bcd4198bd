import { describe, expect, it } from 'vitest';
import { SpokeError } from '../../../src/errors.ts';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import type { StepHandler } from '../../../src/engine/step-handler.ts';
import type { StepKind, StepOf } from '../../../src/plan/step.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import type { RestoreFacts } from '../../../src/workflows/restore/facts.ts';
import { observeRestore } from '../../../src/workflows/restore/facts.ts';
import type { RestoreIntent } from '../../../src/workflows/restore/intent.ts';
import { planRestore } from '../../../src/workflows/restore/plan.ts';
import type { RestoreRequest } from '../../../src/workflows/restore/request.ts';
import { DATA_DIRECTORY, type FakeClusterSpec, NODE } from '../../fakes/cluster.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { ROOT_USER } from '../../fakes/world.ts';
import { sound } from '../workflows/restore-world.ts';
import { header, step } from './machinery.ts';

const HOUR_MS = 3_600_000;

function clearStep(
  area: RestoreIntent['area'],
  server: StepOf<'clear-restore-area'>['server'],
  tablespaceMap: RestoreIntent['tablespaceMap'],
): StepOf<'clear-restore-area'> {
  return { ...step('clear-restore-area'), kind: 'clear-restore-area', area, server, tablespaceMap };
}

/** A restore in place whose steps a test does one by one. */
async function restore(changes: Partial<RestoreRequest> = {}, spec: Partial<FakeClusterSpec> = {}) {
  const built = await sound({ destination: { kind: 'in-place', node: NODE }, ...changes }, spec);
  const intent: RestoreIntent = decideRestore(built.request, built.observed);
  const ports = fakePorts(new FakeProcess(built.world), built.cluster);
  const handlers = createStepHandlers(ports);
  const context: OperationContext = { signal: new AbortController().signal, timeoutMs: 48 * HOUR_MS };
  const facts: RestoreFacts = await observeRestore(intent, { header: header(), entries: [] }, ports, context);
  const { steps } = planRestore(intent, facts, 'run');
  const stepOf = <K extends StepKind>(kind: K) => {
    const found = steps.find((step): step is StepOf<K> => step.kind === kind);
    if (found === undefined) throw new Error(`the plan has no ${kind}`);
    return found;
  };
  const run = <K extends StepKind>(kind: K, altered: Partial<StepOf<K>> = {}, limits = {}) => {
    const handler = handlers[kind] as StepHandler<K>;
    return handler.run({ ...stepOf(kind), ...altered }, { ...context, ...limits });
  };
  const until = async (last: StepKind) => {
    for (const step of steps) {
      await run(step.kind);
      if (step.kind === last) return;
    }
  };
  return { ...built, intent, ports, run, until };
}

describe('the isolated server', () => {
  it('neither lets anybody in nor anything out, whatever the restored configuration says', async () => {
    const { world, intent, until } = await restore();
    await until('start-isolated');
    const server = [...world.servers].find(({ start }) => start.dataDirectory === intent.area.dataDirectory);
    expect(server?.start).toMatchObject({
      listenAddresses: '',
      socketDirectory: intent.area.socketDirectory,
      hbaFile: intent.area.hbaFile,
    });
    expect(server?.start.settings).toMatchObject({
      archive_command: '',
      archive_library: '',
      primary_conninfo: '',
      shared_preload_libraries: '',
      max_logical_replication_workers: '0',
      unix_socket_permissions: '0700',
      // A hot standby must not undercut what the primary had (pg_control).
      max_connections: '100',
    });
  });

  it('is asked with the limit of a question, not with that of hours of replay', async () => {
    const { ports, until, run } = await restore();
    await until('start-isolated');
    const limits: (number | undefined)[] = [];
    const { observeRecovery } = ports.postgres;
    ports.postgres.observeRecovery = (address, context) => {
      limits.push(context.timeoutMs);
      return observeRecovery(address, context);
    };
    await run('prove-target');
    expect(limits.length).toBeGreaterThan(0);
    expect(new Set(limits)).toEqual(new Set([undefined]));
  });

  it('has its configuration given where the data directory has none, as on Debian', async () => {
    const { world, intent, until } = await restore({}, { configurationInDataDirectory: false });
    await until('start-isolated');
    const server = [...world.servers].find(({ start }) => start.dataDirectory === intent.area.dataDirectory);
    expect(server?.start.configFile).toBe(intent.area.configFile);
  });

  it('is stopped cleanly only once it answers', async () => {
    const { world, intent, until, run } = await restore();
    await until('prove-target');
    world.crashMachine();
    await run('start-isolated');
    await run('stop-isolated');
    expect(world.fs.readFile(`${intent.area.dataDirectory}/global/pg_control`)).toContain('"shut down"');
  });
});

describe('a server that ends while it leaves recovery', () => {
  it('is told of by what its log says, and can be gone on with', async () => {
    const { world, intent, ports, until, run } = await restore({ target: { kind: 'immediate' } });
    await until('prove-target');
    const server = [...world.servers].find(({ start }) => start.dataDirectory === intent.area.dataDirectory);
    const fatal = 'FATAL:  could not restore file "00000002.history" from archive: child process exited with exit code 200';
    Object.assign(ports.postgresWriter, {
      endRecoveryAtTarget: () => {
        server?.kill();
        world.fs.writeFile(intent.area.logFile, `LOG:  pausing\n${fatal}\nLOG:  shutting down\n`);
        return Promise.reject(new SpokeError('POSTGRES_UNAVAILABLE', 'connection lost'));
      },
    });
    await expect(run('promote-isolated')).rejects.toMatchObject({
      code: 'POSTGRES_FAILED',
      message: expect.stringContaining(fatal),
      hint: expect.stringContaining('runs resume'),
    });
  });
});

describe('closing the WAL of a primary that cannot archive', () => {
  const failing = async (onFailure: 'continue' | 'stop') => {
    const { world, ports, run } = await restore();
    const server = [...world.servers].find(({ isOrigin }) => isOrigin);
    if (server === undefined) throw new Error('the cluster has no primary');
    const [repository] = world.repositories;
    if (repository === undefined) throw new Error('the cluster has no repository');
    repository.state = 'down';
    const sleep = ports.clock.sleep;
    // As PostgreSQL's archiver does: once more each second.
    Object.assign(ports.clock, {
      sleep: (ms: number, signal: AbortSignal) => {
        const { archiver } = server;
        server.archiver = { ...archiver, failedCount: archiver.failedCount + (ms > 0 ? 1n : 0n) };
        return sleep(ms, signal);
      },
    });
    const before = world.elapsedMs();
    const closing = run('close-wal-segment', { onFailure }, { timeoutMs: 120_000 });
    await expect(closing).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    return world.elapsedMs() - before;
  };

  it('waits no longer than a round of its attempts where the restore can do without', async () => {
    expect(await failing('continue')).toBeLessThan(10_000);
  });

  it('waits to the end where the restore needs it', async () => {
    expect(await failing('stop')).toBeGreaterThan(119_000);
  });
});

describe('clearing the place beside', () => {
  it('is begun again wherever it was cut off, so that no tablespace of the failed attempt is left', async () => {
    const cutOffAt = async (point: number) => {
      const { world, cluster, intent, until } = await restore({ target: { kind: 'immediate' } }, { tablespaces: 2 });
      await until('prove-target');
      const [first] = intent.candidates;
      if (first === undefined) throw new Error('an intent without a backup');
      const process = new FakeProcess(world, { disturbances: new Map([[point, { kind: 'crash', moment: 'after' }]]) });
      const clear = createStepHandlers(fakePorts(process, cluster))['clear-restore-area'];
      const { area, owner, postgresMajor, superusers, tablespaceMap } = intent;
      const step = clearStep(area, { area, owner, postgresMajor, superusers }, tablespaceMap);
      const isDone = await clear.run(step, { signal: process.signal }).then(
        () => true,
        () => false,
      );
      const facts = await observeRestore(intent, { header: header(), entries: [] }, fakePorts(new FakeProcess(world), cluster), {
        signal: new AbortController().signal,
      });
      const next = planRestore(intent, { ...facts, walClosed: true }, 'run').steps[0]?.kind;
      const isLeft = tablespaceMap.some(({ location }) => world.fs.directory(location) !== undefined);
      return { isDone, next, isGone: facts.data.kind === 'absent', isLeft };
    };
    let point = 0;
    for (;;) {
      point += 1;
      const { isDone, next, isGone, isLeft } = await cutOffAt(point);
      const possible = isLeft ? ['clear-restore-area'] : ['clear-restore-area', 'reserve-restore-area'];
      if (isGone) expect(possible, `after point ${point}`).toContain(next);
      if (isDone) break;
    }
    expect(point).toBeGreaterThan(6);
  });
});

describe('removing the old data directory', () => {
  it('removes that very directory, and takes one that is gone for removed', async () => {
    const { world, intent, until, run } = await restore({ discardOld: true });
    await until('confirm-restored');
    expect(world.fs.directory(intent.oldDataDirectory ?? '')).toBeDefined();
    expect(await run('discard-old')).toEqual({ removed: true });
    expect(world.fs.directory(intent.oldDataDirectory ?? '')).toBeUndefined();
    expect(await run('discard-old')).toEqual({ removed: false });
  });

  it('leaves another one alone that has its name', async () => {
    const { world, intent, until, run } = await restore({ discardOld: true });
    await until('confirm-restored');
    world.fs.rename(intent.oldDataDirectory ?? '', '/tmp/moved-away');
    world.fs.makeDirectory(intent.oldDataDirectory ?? '', ROOT_USER);
    await expect(run('discard-old')).rejects.toMatchObject({ code: 'PLAN_STALE', exitCode: 30 });
    expect(world.fs.directory(intent.oldDataDirectory ?? '')).toBeDefined();
  });
});

describe('stopping and replacing the server', () => {
  it('is refused where another directory stands in its place, and nothing is stopped', async () => {
    const { world, run } = await restore();
    await expect(run('stop-server', { destinationIdentity: '8:1' })).rejects.toMatchObject({ code: 'PLAN_STALE' });
    expect(world.origin()?.isWritable).toBe(true);
  });

  it('is refused while a server runs there', async () => {
    const { world, until, run } = await restore();
    await until('settle-configuration');
    await expect(run('swap-data-directory')).rejects.toMatchObject({ code: 'REFUSED_SERVER_RUNNING', exitCode: 12 });
    expect(world.fs.directory(DATA_DIRECTORY)?.identity).toBe(world.originIdentity);
  });
});

describe('confirming the restored server', () => {
  it('fails with the end of its log where it has ended', async () => {
    const { world, intent, until, run } = await restore();
    await until('start-restored');
    for (const server of [...world.servers]) server.kill();
    world.fs.writeFile(`${intent.dataDirectory}.log`, 'FATAL:  out of luck\n');
    await expect(run('confirm-restored')).rejects.toMatchObject({
      code: 'POSTGRES_FAILED',
      details: { serverLog: 'FATAL:  out of luck\n' },
    });
  });

  it('is refused where another cluster answers on its port', async () => {
    const { until, run } = await restore();
    await until('start-restored');
    await expect(run('confirm-restored', { systemIdentifier: '42' })).rejects.toMatchObject({ code: 'REFUSED_WRONG_CLUSTER' });
  });

  it('ends at its limit where the server never becomes writable', async () => {
    const { world, until, run } = await restore();
    await until('start-restored');
    for (const server of world.servers) server.phase = 'standby';
    await expect(run('confirm-restored', {}, { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: 'POSTGRES_FAILED',
      message: expect.stringContaining('does not answer'),
    });
    expect(world.elapsedMs()).toBeGreaterThan(60_000);
  });
});
