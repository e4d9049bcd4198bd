import { formatLsn, type Lsn } from '../../src/domain/postgres/lsn.ts';
import { timelineAt } from '../../src/domain/postgres/timeline-history.ts';
import type { ServerStart } from '../../src/ports/instance.ts';
import type { ManagedService } from '../../src/ports/service-control.ts';
import { formatSettings, writeDataDirectory } from './data-directory.ts';
import { type FakeWorld, POSTGRES_USER } from './world.ts';

export interface FakeStandby {
  readonly start: ServerStart;
  readonly service: ManagedService;
  readonly slot: string;
  readonly primaryPort: number;
  /** So far it has come, on the way of the primary. */
  readonly lsn: Lsn;
  readonly isRunning: boolean;
}

/** A standby of the primary of that world, with its slot; it comes back when the machine boots. */
export function addStandby(world: FakeWorld, { start, service, slot, primaryPort, lsn, isRunning }: FakeStandby): void {
  const { fs, history } = world;
  const at = formatLsn(lsn);
  const timeline = timelineAt(history.historyOf(history.timeline), lsn);
  fs.makeDirectory(start.socketDirectory, POSTGRES_USER);
  writeDataDirectory(fs, start.dataDirectory, {
    control: {
      systemIdentifier: String(history.systemIdentifier),
      state: isRunning ? 'in archive recovery' : 'shut down in recovery',
      ...{ timeline, redo: at, consistentAt: at },
    },
    content: { lsn: at, timeline },
    owner: POSTGRES_USER,
    postgresqlConf: '',
    autoConf: formatSettings({ primary_conninfo: `host=127.0.0.1 port=${primaryPort}`, primary_slot_name: slot }),
  });
  for (const { name } of history.closedSegments()) fs.writeFile(`${start.dataDirectory}/pg_wal/${name}`, 'wal');
  fs.writeFile(`${start.dataDirectory}/standby.signal`, '');
  if (world.originIdentity !== undefined) world.slotsOn(world.originIdentity).add(slot);
  world.services.push({ service, start, startsAtBoot: true });
  if (isRunning) world.startServer(start).tick();
}
