import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Lab {
  readonly directory: string;
  readonly config: string;
  readonly stateDirectory: string;
  readonly primary: { readonly dataDirectory: string; readonly port: number; readonly socketDirectory: string };
  readonly postgresqlBinDirectory: string;
  readonly postgresVersion: string;
  readonly pgbackrestVersion: string;
  readonly osUser: string;
}

const root = join(import.meta.dirname, '..');
export const cli = join(root, 'bin/spoke-backup');

export async function restoreOurs(lab: Lab, target: string, repetition: number, ...more: string[]): Promise<number> {
  const directory = join(lab.directory, 'restored', `ours-${repetition}`);
  await makeParent(lab);
  const took = await seconds(() => run(cli, ['restore', '--to', target, '--data-directory', directory, '--quiet', '--json', ...more]));
  await stopAndRemove(lab, directory);
  return took;
}

export async function restoreBare(lab: Lab, target: string, repetition: number): Promise<number> {
  const directory = join(lab.directory, 'restored', `bare-${repetition}`);
  await makeParent(lab);
  const took = await seconds(async () => {
    await asOwner(lab, 'mkdir', ['-m', '0700', directory]);
    await asOwner(lab, 'pgbackrest', [
      ...pgbackrest(lab),
      `--pg1-path=${directory}`,
      '--type=time',
      `--target=${target}`,
      '--target-action=promote',
      '--archive-mode=off',
      'restore',
    ]);
    const options = `-c port=${lab.primary.port + 1} -c unix_socket_directories=${lab.directory}/restored -c listen_addresses=''`;
    await asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_ctl'), [
      'start',
      '-w',
      '-t',
      '600',
      '-D',
      directory,
      '-l',
      `${directory}.log`,
      '-o',
      options,
    ]);
    while ((await psqlAt(lab, `${lab.directory}/restored`, lab.primary.port + 1, 'SELECT pg_is_in_recovery()')).trim() !== 'f')
      await new Promise((resolve) => setTimeout(resolve, 50));
  });
  await stopAndRemove(lab, directory);
  return took;
}

async function makeParent(lab: Lab): Promise<void> {
  const parent = join(lab.directory, 'restored');
  mkdirSync(parent, { recursive: true, mode: 0o777 });
  if (process.getuid?.() === 0) await run('chown', [lab.osUser, parent]);
}

async function stopAndRemove(lab: Lab, directory: string): Promise<void> {
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_ctl'), ['stop', '-m', 'immediate', '-D', directory]);
  for (const path of [directory, `${directory}.socket`]) rmSync(path, { recursive: true, force: true });
}

export async function fill(lab: Lab, scale: number): Promise<void> {
  say(`filling: pgbench scale ${scale}, about ${(scale * 15) / 1000} GB`);
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pgbench'), [...connection(lab), '-i', '-q', '-s', String(scale), 'postgres']);
  await psql(lab, 'CHECKPOINT');
}

export function pgbackrest(lab: Lab): string[] {
  return [`--config=${lab.stateDirectory}/pgbackrest/lab/pgbackrest.conf`, '--stanza=lab'];
}

export function connection(lab: Lab): string[] {
  return ['-h', lab.primary.socketDirectory, '-p', String(lab.primary.port), '-U', 'postgres'];
}

export function psql(lab: Lab, statement: string): Promise<string> {
  return psqlAt(lab, lab.primary.socketDirectory, lab.primary.port, statement);
}

async function psqlAt(lab: Lab, host: string, port: number, statement: string): Promise<string> {
  return (
    await asOwner(lab, join(lab.postgresqlBinDirectory, 'psql'), [
      '-h',
      host,
      '-p',
      String(port),
      '-U',
      'postgres',
      '-At',
      '-c',
      statement,
      'postgres',
    ])
  ).stdout;
}

/** As the servers' user, where we are root: setpriv as our own program does it, so that neither side pays for a switch that the other does not. */
export function asOwner(lab: Lab, file: string, argv: readonly string[]) {
  return process.getuid?.() === 0
    ? run('setpriv', [`--reuid=${lab.osUser}`, '--regid', lab.osUser, '--init-groups', '--', file, ...argv])
    : run(file, argv);
}

export async function run(file: string, argv: readonly string[]): Promise<{ stdout: string }> {
  const { stdout } = await execa(file, [...argv], { cwd: '/', stdin: 'ignore' });
  return { stdout };
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/**
 * Begun at any fraction of a second: pgBackRest waits for the next whole one before it copies, and a run that follows another one at once
 * would always wait as long as its neighbour lets it.
 */
export async function atAnyFraction(work: () => Promise<unknown>): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 1000));
  return seconds(work);
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
