import { copyArguments, rewindArguments } from '../../domain/topology/seed-commands.ts';
import { standbyAutoConf } from '../../domain/topology/standby-settings.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { primaryAddress } from './archiving.ts';
import { confirmStoppedStandby } from './confirm-standby.ts';
import { installationOf } from './connect.ts';
import { orDiskFull } from './disk-full.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';
import { advanceMark, archiveSettings, placeOf } from './reseed-files.ts';
import { closeForRewind, openAfterRewind } from './rewind-fence.ts';

const MOST_BYTES = 1024 * 1024;

/** The data of a standby, by the method that was chosen. Each of them may be done again over what it left. */
export function reseedSeedHandlers(ports: HandlerPorts): HandlersOf<'rewind-standby' | 'restore-standby' | 'copy-standby'> {
  return {
    'rewind-standby': {
      preview: (step) => [
        ...(mayTellOldTimeline(step) ? [{ argv: [`(${step.standby.primary})`, 'CHECKPOINT'] }] : []),
        { argv: ['pg_rewind', ...rewindArguments(rewindCommand(step))] },
      ],
      run: (step, context) => orDiskFull(ports, step.area, context, () => rewind(ports, step, context)),
    },
    'restore-standby': {
      preview: (step) => ports.engine.previewRestore(restoreRequest(step, step.into === 'data directory')),
      run: (step, context) => orDiskFull(ports, step.area, context, () => restore(ports, step, context)),
    },
    'copy-standby': {
      preview: (step) => [{ argv: ['pg_basebackup', ...copyArguments(copyCommand(step))] }],
      run: (step, context) => orDiskFull(ports, step.area, context, () => copy(ports, step, context)),
    },
  };
}

function rewindCommand({ standby, conninfo, configFile, restoreFrom }: StepOf<'rewind-standby'>) {
  return {
    dataDirectory: standby.dataDirectory,
    conninfo: `${conninfo} dbname=postgres`,
    ...(configFile === undefined ? {} : { configFile }),
    restoresWal: restoreFrom !== undefined,
  };
}

function copyCommand({ area, conninfo, slot }: StepOf<'copy-standby'>) {
  return { dataDirectory: area.dataDirectory, conninfo, ...(slot === undefined ? {} : { slot }) };
}

/**
 * pg_rewind takes the timeline of the source from its pg_control, which a server that was promoted writes with its next checkpoint; before
 * that nothing would be rewound. From PostgreSQL 16 on it looks at more.
 */
function mayTellOldTimeline({ postgresMajor }: StepOf<'rewind-standby'>): boolean {
  return postgresMajor < 16;
}

/** pg_rewind runs the target's restore_command: it is set first, which changes nothing for a standby that would be started again. */
async function rewind(ports: HandlerPorts, step: StepOf<'rewind-standby'>, context: OperationContext) {
  const { standby, owner, postgresMajor, restoreFrom } = step;
  const { identity } = await confirmStoppedStandby(ports, standby, context);
  if (identity === undefined) throw new SpokeError('PLAN_STALE', `${standby.dataDirectory} is gone`);
  const rewound = { dataDirectory: standby.dataDirectory, owner };
  const { binDirectory } = await installationOf(ports.instance, postgresMajor, context);
  if (restoreFrom !== undefined) await setRestoreCommand(ports, step, restoreFrom);
  if (mayTellOldTimeline(step)) await ports.postgresWriter.checkpoint(await primaryAddress(ports, standby.primary, context), context);
  const mark = { method: 'rewind', dataIdentity: identity } as const;
  await advanceMark(ports, step, { phase: 'seeding', ...mark });
  await closeForRewind(ports, rewound);
  try {
    await ports.seeding.rewind({ ...rewindCommand(step), binDirectory, owner }, context);
  } catch (thrown) {
    // Then it can simply be done again, once what it failed of is mended.
    if (asSpokeError(thrown).details['isUntouched'] === true) {
      await openAfterRewind(ports, rewound);
      await advanceMark(ports, step, { phase: 'reserved' });
    }
    throw thrown;
  }
  await openAfterRewind(ports, rewound);
  await advanceMark(ports, step, { phase: 'seeded', ...mark });
  return { method: 'rewind' };
}

async function setRestoreCommand(ports: HandlerPorts, { standby, owner }: StepOf<'rewind-standby'>, restoreFrom: string): Promise<void> {
  const path = `${standby.dataDirectory}/postgresql.auto.conf`;
  const present = await ports.instance.readFileTail(path, MOST_BYTES);
  const { restore_command: command } = await archiveSettings(ports, restoreFrom);
  const others = present.split('\n').filter((line) => !/^\s*restore_command\b/.test(line));
  const text = standbyAutoConf('', command === undefined ? {} : { restore_command: command });
  const kept = others.join('\n').trimEnd();
  await ports.instanceControl.writeFileDurably(path, `${kept}${kept === '' ? '' : '\n'}${text}`, owner, 0o600);
}

async function restore(ports: HandlerPorts, step: StepOf<'restore-standby'>, context: OperationContext) {
  const { standby, area, owner, into, backup } = step;
  await confirmStoppedStandby(ports, standby, context);
  const place = placeOf(step);
  if (into === 'beside') await ports.instanceControl.createDirectory(area.dataDirectory, owner);
  await ports.instanceControl.createDirectory(area.workDirectory, owner);
  const { kind, identity } = await ports.instance.inspectDirectory(place, context);
  if (identity === undefined) throw new SpokeError('PLAN_STALE', `${place} is gone`);
  const mark = { method: into === 'beside' ? 'backup' : 'delta', dataIdentity: identity } as const;
  await advanceMark(ports, step, { phase: 'seeding', ...mark });
  await ports.engine.restoreBackup(restoreRequest(step, kind !== 'empty'), context);
  await advanceMark(ports, step, { phase: 'seeded', ...mark });
  return { method: mark.method, ...backup };
}

function restoreRequest(step: StepOf<'restore-standby'>, resume: boolean) {
  const { area, backup, tablespaceMap } = step;
  return {
    ...backup,
    dataDirectory: placeOf(step),
    target: { kind: 'latest' },
    timeline: 'latest',
    targetAction: 'pause',
    workDirectory: area.workDirectory,
    tablespaceMap,
    resume,
    standby: true,
  } as const;
}

/** pg_basebackup wants an empty directory: what an earlier attempt has left there is of no use to it. */
async function copy(ports: HandlerPorts, step: StepOf<'copy-standby'>, context: OperationContext) {
  const { standby, area, owner, postgresMajor } = step;
  await confirmStoppedStandby(ports, standby, context);
  const { binDirectory } = await installationOf(ports.instance, postgresMajor, context);
  const left = await ports.instance.inspectDirectory(area.dataDirectory, context);
  if (left.identity !== undefined && left.kind !== 'empty') await ports.instanceControl.removeDirectory(area.dataDirectory, left.identity);
  await ports.instanceControl.createDirectory(area.dataDirectory, owner);
  const { identity } = await ports.instance.inspectDirectory(area.dataDirectory, context);
  if (identity === undefined) throw new SpokeError('PLAN_STALE', `${area.dataDirectory} is gone`);
  const mark = { method: 'basebackup', dataIdentity: identity } as const;
  await advanceMark(ports, step, { phase: 'seeding', ...mark });
  await ports.seeding.copyServer({ ...copyCommand(step), binDirectory, owner }, context);
  await advanceMark(ports, step, { phase: 'seeded', ...mark });
  return { method: 'basebackup' };
}
