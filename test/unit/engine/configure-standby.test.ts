import { describe, expect, it } from 'vitest';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import { reseedFileHandlers } from '../../../src/engine/handlers/reseed-files.ts';
import { formatSeedMark, parseSeedMark } from '../../../src/domain/topology/seed-mark.ts';
import type { StepOf } from '../../../src/plan/step.ts';
import type { ControlData } from '../../../src/ports/instance.ts';
import { DATA, directory, intentFor } from '../workflows/reseed-intent.ts';

const CLUSTER = '7000000000000000001';
const AUTO = `${DATA}/postgresql.auto.conf`;
const { area } = intentFor('rewind');
const step = {
  standby: { node: 'c', dataDirectory: DATA, identity: '1:10', systemIdentifier: CLUSTER, primary: 'a' },
  ...{ kind: 'configure-standby', area, into: 'data directory', settings: { primary_slot_name: 'c' }, restoreFrom: undefined },
  owner: { uid: 1, gid: 1, name: 'postgres' },
} as unknown as StepOf<'configure-standby'>;

/** A stopped standby; `startedAfter`: somebody starts it when that file has been written. */
function standby(startedAfter?: string) {
  const files = new Map([[area.markerFile, formatSeedMark({ runId: 'run', phase: 'seeded', method: 'rewind', dataIdentity: '1:10' })]]);
  let isRunning = false;
  const control = { systemIdentifier: BigInt(CLUSTER), state: 'shut down in recovery' } as unknown as ControlData;
  const running = { evidence: 'postmaster.pid' } as const;
  const ports = {
    instance: {
      inspectDirectory: () => Promise.resolve(directory(DATA, { identity: '1:10', control, ...(isRunning ? { running } : {}) })),
      readFileTail: (path: string) => Promise.resolve(files.get(path) ?? ''),
    },
    instanceControl: {
      writeFileDurably: (path: string, text: string) => {
        files.set(path, text);
        isRunning ||= path === startedAfter;
        return Promise.resolve();
      },
    },
    access: { addressOf: (node: string) => Promise.resolve(node === 'a' ? { kind: 'url', url: node } : undefined) },
    postgres: { observeServer: () => Promise.resolve({ systemIdentifier: BigInt(CLUSTER), inRecovery: false }) },
  } as unknown as HandlerPorts;
  const configure = () => reseedFileHandlers(ports)['configure-standby'].run(step, { signal: new AbortController().signal });
  return { configure, phase: () => parseSeedMark(files.get(area.markerFile) ?? '')?.phase };
}

describe('the settings of a standby that was seeded', () => {
  it('are noted as written where nobody has started it', async () => {
    const { configure, phase } = standby();
    await configure();
    expect(phase()).toBe('configured');
  });

  it.each([AUTO, `${DATA}/standby.signal`])(
    'are written once more by the next attempt where somebody has started it meanwhile, which goes by those of before: %s',
    async (file) => {
      const { configure, phase } = standby(file);
      await expect(configure()).rejects.toMatchObject({ code: 'REFUSED_SERVER_RUNNING' });
      expect(phase()).toBe('seeded');
    },
  );
});
