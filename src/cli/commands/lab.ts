import { createProcessRunner, labInstances } from '../../composition.ts';
import { SpokeError } from '../../errors.ts';
import { findOnlyLab, type LabDescription, type LabEngine } from '../../lab/description.ts';
import { Output } from '../output.ts';
import type { CommandContext } from '../command-context.ts';

interface LabOptions {
  readonly dir?: string;
}

/** `spoke-backup lab up` */
export async function labUpCommand(
  options: LabOptions & { readonly nodes: string; readonly s3: boolean; readonly engine: string },
  context: CommandContext,
): Promise<void> {
  const { labUp } = await import('../../lab/up.ts');
  const nodes = Number(options.nodes);
  if (!Number.isInteger(nodes)) throw new SpokeError('USAGE', `--nodes ${options.nodes}: not a number`);
  const lab = await labUp(
    { nodes, s3: options.s3, engine: engineNamed(options.engine), ...(options.dir === undefined ? {} : { directory: options.dir }) },
    {
      processes: createProcessRunner(),
      environment: process.env,
      instances: labInstances(),
      signal: context.signal,
      report: (line) => context.output.say(line),
      prepareArchiving: (config) => prepareArchiving(config, context),
    },
  );
  context.output.result({ ...lab }, () => renderLab(lab));
}

function engineNamed(name: string): LabEngine {
  if (name === 'pgbackrest' || name === 'native' || name === 'both') return name;
  throw new SpokeError('USAGE', `--engine ${name}: there are pgbackrest, native and both`);
}

/** Set up as a user would, with the same command; its result is not the lab's. */
async function prepareArchiving(config: string, context: CommandContext): Promise<void> {
  const { setupArchivingCommand } = await import('./setup-archiving.ts');
  const output = new Output({ json: false, quiet: true, verbose: false });
  output.result = () => {};
  await setupArchivingCommand({ config }, { ...context, output });
}

function renderLab(lab: LabDescription): string {
  const bin = 'spoke-backup';
  return [
    `lab in ${lab.directory}: PostgreSQL ${lab.postgresVersion}, ${lab.engine === 'both' ? 'both engines' : `engine ${lab.engine}`}, ${[lab.primary, ...lab.standbys].map((node) => node.name).join(', ')}`,
    `  config   ${lab.config}`,
    `  connect  psql "${lab.primary.url}"`,
    '',
    'next:',
    `  export SPOKE_BACKUP_CONFIG=${lab.config}`,
    `  ${bin} backup --type full`,
    `  ${bin} status`,
    `  ${bin} restore --to latest --data-directory ${lab.directory}/restored`,
    `  ${bin} lab down --dir ${lab.directory}`,
  ].join('\n');
}

/** `spoke-backup lab down` */
export async function labDownCommand(options: LabOptions, context: CommandContext): Promise<void> {
  const { labDown } = await import('../../lab/down.ts');
  const directory = options.dir ?? (await findOnlyLab());
  const result = await labDown(directory, { signal: context.signal, report: (line) => context.output.say(line) });
  context.output.result({ ...result }, () =>
    result.existed ? `${directory} is gone, ${result.endedProcesses} processes ended` : `there is no lab in ${directory}`,
  );
}

/** `spoke-backup lab status` */
export async function labStatusCommand(options: LabOptions, context: CommandContext): Promise<void> {
  const { labStatus } = await import('../../lab/status.ts');
  const status = await labStatus(options.dir ?? (await findOnlyLab()));
  context.output.result({ ...status }, () =>
    [
      `lab in ${status.directory}: ${status.state}`,
      ...status.nodes.map((node) => `  ${node.name}  port ${node.port}  ${node.listening ? 'up' : 'down'}`),
      ...(status.s3 === undefined
        ? []
        : [`  s3  ${status.s3.endpoint}  ${status.s3.listening ? 'up' : 'down'}  (${status.s3.description})`]),
    ].join('\n'),
  );
}

/** `spoke-backup lab exec` */
export async function labExecCommand(command: readonly string[], options: LabOptions, context: CommandContext): Promise<void> {
  const { labExec } = await import('../../lab/exec.ts');
  context.output.exitCode = await labExec(options.dir ?? (await findOnlyLab()), command);
}
