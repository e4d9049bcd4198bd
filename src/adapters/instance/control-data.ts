import { parseLsn } from '../../domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import type { ControlData } from '../../ports/instance.ts';

/** pg_controldata's labels of the settings that a hot standby must not undercut, and the settings' names. */
const STANDBY_SETTINGS = {
  'max_connections setting': 'max_connections',
  'max_worker_processes setting': 'max_worker_processes',
  'max_wal_senders setting': 'max_wal_senders',
  'max_prepared_xacts setting': 'max_prepared_transactions',
  'max_locks_per_xact setting': 'max_locks_per_transaction',
};

/** Reads what pg_controldata printed under LC_ALL=C. Throws RangeError where a line is missing or no number. */
export function parseControlData(output: string): ControlData {
  const values = new Map(
    output.split('\n').flatMap((line) => {
      const match = /^([^:]+):\s*(.*?)\s*$/.exec(line);
      return match?.[1] === undefined || match[2] === undefined ? [] : [[match[1], match[2]] as const];
    }),
  );
  const value = (label: string) => {
    const found = values.get(label);
    if (found === undefined) throw new RangeError(`pg_controldata printed no "${label}"`);
    return found;
  };
  const hints = values.get('wal_log_hints setting');
  return {
    systemIdentifier: parseSystemIdentifier(value('Database system identifier')),
    state: value('Database cluster state'),
    timeline: timelineIdOf(Number(value("Latest checkpoint's TimeLineID"))),
    checkpointLsn: parseLsn(value('Latest checkpoint location')),
    redoLsn: parseLsn(value("Latest checkpoint's REDO location")),
    walSegmentSizeBytes: Number(value('Bytes per WAL segment')),
    dataChecksums: value('Data page checksum version') !== '0',
    ...(hints === undefined ? {} : { walLogHints: hints === 'on' }),
    standbySettings: Object.fromEntries(Object.entries(STANDBY_SETTINGS).map(([label, name]) => [name, value(label)])),
  };
}

/** pg_controldata prints a warning and then goes on where the file's checksum is wrong: nothing it says counts then. */
export function hasDamagedControlFile(output: string): boolean {
  return /CRC checksum|possibly corrupt|invalid WAL segment size|byte ordering/i.test(output);
}
