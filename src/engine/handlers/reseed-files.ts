import { standbyAutoConf } from '../../domain/topology/standby-settings.ts';
import { formatSeedMark, parseSeedMark, type SeedMark } from '../../domain/topology/seed-mark.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { RestoreArea, StepOf } from '../../plan/step.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { confirmStoppedStandby } from './confirm-standby.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { swapHandlers } from './swap.ts';

const MOST_BYTES = 1024 * 1024;

/** The files of a reseed that no other program writes: the mark, the settings of a standby, and the two renames. */
export function reseedFileHandlers(ports: HandlerPorts): HandlersOf<'reserve-reseed' | 'configure-standby' | 'swap-standby'> {
  return {
    'reserve-reseed': {
      preview: ({ area }) => [{ argv: ['mkdir', '-m', '0700', area.root] }],
      run: (step, context) => reserve(ports, step, context),
    },
    'configure-standby': {
      preview: (step) => ['postgresql.auto.conf', 'standby.signal'].map((name) => ({ argv: ['write', `${placeOf(step)}/${name}`] })),
      run: (step, context) => configure(ports, step, context),
    },
    'swap-standby': {
      preview: (step) => swapHandlers(ports)['swap-data-directory'].preview(asSwap(step)),
      run: async (step, context) => {
        await confirmStoppedStandby(ports, step.standby, context);
        return swapHandlers(ports)['swap-data-directory'].run(asSwap(step), context);
      },
    },
  };
}

/** Where the data is that is seeded. */
export function placeOf({ standby, area, into }: Pick<StepOf<'configure-standby'>, 'standby' | 'area' | 'into'>): string {
  return into === 'beside' ? area.dataDirectory : standby.dataDirectory;
}

async function reserve(ports: HandlerPorts, { standby, area, owner, runId }: StepOf<'reserve-reseed'>, context: OperationContext) {
  await confirmStoppedStandby(ports, standby, context);
  for (const directory of [area.root, area.workDirectory]) await ports.instanceControl.createDirectory(directory, owner);
  await ports.instanceControl.writeFileDurably(area.markerFile, formatSeedMark({ runId, phase: 'reserved' }), owner, 0o600);
  return { area: area.root };
}

/** Notes how far it is; the place must have been reserved. By what it is seeded stays noted unless that is said anew, or nothing was done. */
export async function advanceMark(
  ports: HandlerPorts,
  { area, owner }: { readonly area: RestoreArea; readonly owner: FileOwner },
  further: Omit<SeedMark, 'runId'>,
): Promise<void> {
  const present = parseSeedMark(await ports.instance.readFileTail(area.markerFile, MOST_BYTES));
  if (present === undefined) throw new SpokeError('PLAN_STALE', `${area.markerFile} is gone`);
  await ports.instanceControl.writeFileDurably(
    area.markerFile,
    formatSeedMark(further.phase === 'reserved' ? { runId: present.runId, ...further } : { ...present, ...further }),
    owner,
    0o600,
  );
}

/** The signal file last: without it the server would end recovery and be a primary. */
async function configure(ports: HandlerPorts, step: StepOf<'configure-standby'>, context: OperationContext) {
  const { standby, owner, settings, restoreFrom } = step;
  await confirmStoppedStandby(ports, standby, context);
  const place = placeOf(step);
  const found = await ports.instance.inspectDirectory(place, context);
  if (found.control === undefined || found.identity === undefined) throw new SpokeError('PLAN_STALE', `${place} holds no PostgreSQL data`);
  if (String(found.control.systemIdentifier) !== standby.systemIdentifier)
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${place} was seeded with another cluster (${found.control.systemIdentifier})`);
  if (found.hasRecoverySignal)
    throw new SpokeError('REFUSED_PRECONDITION', `${place} has a recovery.signal, which would end recovery one day`, {
      hint: `Remove ${place}/recovery.signal, then: spoke-backup runs resume`,
    });
  const path = `${place}/postgresql.auto.conf`;
  const all = { ...settings, ...(await archiveSettings(ports, restoreFrom)) };
  const text = standbyAutoConf(await ports.instance.readFileTail(path, MOST_BYTES), all);
  await ports.instanceControl.writeFileDurably(path, text, owner, 0o600);
  await ports.instanceControl.writeFileDurably(`${place}/standby.signal`, '', owner, 0o600);
  await requireStillStopped(ports, place, context);
  await advanceMark(ports, step, { phase: 'configured', dataIdentity: found.identity });
  return {};
}

/** A server that was started since the last look has read the settings of before, and would be taken for one that has these. */
async function requireStillStopped({ instance }: HandlerPorts, place: string, context: OperationContext): Promise<void> {
  const { running } = await instance.inspectDirectory(place, context);
  if (running === undefined) return;
  throw new SpokeError('REFUSED_SERVER_RUNNING', `a server was started in ${place} while its settings were written`, {
    hint: 'The next attempt stops it: spoke-backup runs resume',
  });
}

/** What PostgreSQL runs reads the engine's configuration of this host. */
export async function archiveSettings(ports: HandlerPorts, restoreFrom: string | undefined): Promise<Readonly<Record<string, string>>> {
  if (restoreFrom === undefined) return {};
  if (!(await ports.catalog.isConfigurationCurrent())) await ports.engine.writeConfiguration();
  return ports.engine.standbySettings(restoreFrom as RepositoryName);
}

function asSwap(step: StepOf<'swap-standby'>): StepOf<'swap-data-directory'> {
  const { standby, area, oldDataDirectory } = step;
  const { dataDirectory, identity: destinationIdentity } = standby;
  return { ...step, kind: 'swap-data-directory', area, dataDirectory, oldDataDirectory, destinationIdentity };
}
