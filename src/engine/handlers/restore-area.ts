import { settledAutoConf } from '../../workflows/restore/facts.ts';
import { ARCHIVE_STATUS, isNote } from '../../workflows/restore/salvage.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { IsolatedServer, RestoreArea, StepOf } from '../../plan/step.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const MOST_CONF_BYTES = 1024 * 1024;

/** The place beside: made, filled, cleaned. */
export function restoreAreaHandlers(
  ports: HandlerPorts,
): HandlersOf<
  | 'reserve-restore-area'
  | 'clear-restore-area'
  | 'copy-backup'
  | 'salvage-wal'
  | 'stage-tail'
  | 'settle-configuration'
  | 'release-restore-area'
  | 'end-isolated'
  | 'discard-restore-area'
> {
  const { engine, instanceControl } = ports;
  return {
    'reserve-restore-area': {
      preview: (step) => [{ argv: ['mkdir', '-m', '0700', step.area.root] }],
      run: (step) => reserve(ports, step),
    },
    'clear-restore-area': {
      preview: (step) => [{ argv: ['rm', '-r', step.area.dataDirectory] }],
      run: (step, context) => clear(ports, step, context),
    },
    'copy-backup': {
      preview: (step) => engine.previewRestore(restoreRequest(step)),
      run: (step, context) => copyBackup(ports, step, context),
    },
    'salvage-wal': {
      preview: previewSalvage,
      run: async (step, context) => {
        const pgWal = `${step.area.dataDirectory}/pg_wal`;
        await instanceControl.createDirectory(`${pgWal}/${ARCHIVE_STATUS}`, step.owner);
        await instanceControl.copyFiles(step.fromDirectory, pgWal, step.files, step.owner, context);
        return { files: step.files.length };
      },
    },
    'stage-tail': {
      preview: (step) =>
        step.segments.map((name) => ({ argv: ['(fetch streamed WAL)', step.repository, `${step.area.dataDirectory}/pg_wal/${name}`] })),
      run: async ({ area, ...step }, context) => {
        const toDirectory = `${area.dataDirectory}/pg_wal`;
        await instanceControl.createDirectory(`${toDirectory}/${ARCHIVE_STATUS}`, step.owner);
        await ports.tailStager.stageTail({ ...step, toDirectory }, context);
        return { segments: step.segments };
      },
    },
    'settle-configuration': {
      preview: (step) => [{ argv: ['(edit)', `${step.area.dataDirectory}/postgresql.auto.conf`] }],
      run: (step) => settle(ports, step),
    },
    'release-restore-area': {
      preview: (step) => [{ argv: ['rm', '-r', step.area.root] }],
      run: (step, context) => release(ports, step.area, context),
    },
    'end-isolated': {
      preview: ({ server }) => [{ argv: ['pg_ctl', 'stop', '-D', server.area.dataDirectory, '-m', 'immediate'] }],
      run: async ({ server }, context) => {
        await stopIfRunning(ports, server, context);
        return {};
      },
    },
    'discard-restore-area': {
      preview: ({ server }) => [{ argv: ['rm', '-r', server.area.root] }],
      run: (step, context) => discard(ports, step, context),
    },
  };
}

function previewSalvage({ files, fromDirectory, area }: StepOf<'salvage-wal'>) {
  const notes = files.filter(isNote);
  const copy = (names: readonly string[], into: string) =>
    names.length === 0 ? [] : [{ argv: ['cp', ...names.map((name) => `${fromDirectory}/${name}`), into] }];
  const wal = files.filter((name) => !isNote(name));
  return [...copy(wal, `${area.dataDirectory}/pg_wal/`), ...copy(notes, `${area.dataDirectory}/pg_wal/${ARCHIVE_STATUS}/`)];
}

async function reserve(ports: HandlerPorts, { area, owner, runId, backup }: StepOf<'reserve-restore-area'>) {
  for (const directory of [area.root, area.workDirectory, area.socketDirectory])
    await ports.instanceControl.createDirectory(directory, owner);
  await ports.instanceControl.createDirectory(area.dataDirectory, owner);
  await ports.instanceControl.writeFileDurably(area.markerFile, `${JSON.stringify({ runId, backup })}\n`, owner, 0o600);
  return { area: area.root };
}

/** The marker says first that the place is of no use and last that it is empty: what is interrupted in between is cleared again. */
async function clear(ports: HandlerPorts, { area, server, tablespaceMap }: StepOf<'clear-restore-area'>, context: OperationContext) {
  const mark = (content: string) => ports.instanceControl.writeFileDurably(area.markerFile, content, server.owner, 0o600);
  await mark(`${JSON.stringify({ backup: null })}\n`);
  await stopIfRunning(ports, server, context);
  const tablespaces = tablespaceMap.map((tablespace) => tablespace.location);
  for (const path of [area.dataDirectory, area.workDirectory, ...tablespaces]) await removeIfThere(ports, path, context);
  await ports.instanceControl.writeFileDurably(area.proofFile, '', server.owner, 0o600);
  await mark('');
  return {};
}

/** Stops the isolated server of a restore area, if one runs; its own way first, at once where that fails. */
async function stopIfRunning(
  ports: HandlerPorts,
  server: Pick<IsolatedServer, 'area' | 'owner' | 'postgresMajor'>,
  context: OperationContext,
): Promise<void> {
  const found = await ports.instance.inspectDirectory(server.area.dataDirectory, context);
  const installation = found.running === undefined ? undefined : await ports.instance.findInstallation(server.postgresMajor, context);
  const target = { dataDirectory: server.area.dataDirectory, owner: server.owner, mode: 'immediate' } as const;
  if (installation !== undefined) await ports.instanceControl.stopServer({ ...target, binDirectory: installation.binDirectory }, context);
  await ports.engine.endReplay(server.area, context);
}

async function copyBackup(ports: HandlerPorts, step: StepOf<'copy-backup'>, context: OperationContext) {
  await ports.instanceControl.createDirectory(step.area.dataDirectory, step.owner);
  await ports.instanceControl.createDirectory(step.area.workDirectory, step.owner);
  for (const { location } of step.tablespaceMap) await ports.instanceControl.createDirectory(location, step.owner);
  // Also where an earlier try of this very step has left something.
  const { kind } = await ports.instance.inspectDirectory(step.area.dataDirectory, context);
  await ports.engine.restoreBackup({ ...restoreRequest(step), resume: step.resume || kind !== 'empty' }, context);
  return { repository: step.backup.repository, label: step.backup.label };
}

function restoreRequest(step: StepOf<'copy-backup'>) {
  return {
    ...step.backup,
    dataDirectory: step.area.dataDirectory,
    target: step.target,
    timeline: step.timeline,
    targetAction: 'pause',
    workDirectory: step.area.workDirectory,
    tablespaceMap: step.tablespaceMap,
    resume: step.resume,
  } as const;
}

async function settle(ports: HandlerPorts, step: StepOf<'settle-configuration'>) {
  const path = `${step.area.dataDirectory}/postgresql.auto.conf`;
  const settled = settledAutoConf(await ports.instance.readFileTail(path, MOST_CONF_BYTES), step.keepRecoverySettings, step.archiving);
  await ports.instanceControl.writeFileDurably(path, settled, step.owner, 0o600);
  return {};
}

async function release(ports: HandlerPorts, area: RestoreArea, context: OperationContext) {
  for (const path of [area.socketDirectory, area.root]) await removeIfThere(ports, path, context);
  return {};
}

/** The isolated server and the place beside. */
async function discard(ports: HandlerPorts, { server, tablespaceMap }: StepOf<'discard-restore-area'>, context: OperationContext) {
  const { area } = server;
  await stopIfRunning(ports, server, context);
  const swapped = (await ports.instance.inspectDirectory(area.dataDirectory, context)).kind === 'absent';
  const tablespaces = swapped ? [] : tablespaceMap.map((tablespace) => tablespace.location);
  // The data directory by its own name and first: so its pg_control goes before anything that it needs.
  for (const path of [area.dataDirectory, ...tablespaces, area.socketDirectory, area.root]) await removeIfThere(ports, path, context);
  return {};
}

/** Removes a tree that belongs to the run, by the identity that it has now. */
async function removeIfThere(ports: HandlerPorts, path: string, context: OperationContext): Promise<void> {
  const found = await ports.instance.inspectDirectory(path, context);
  if (found.identity !== undefined) await ports.instanceControl.removeDirectory(path, found.identity);
}
