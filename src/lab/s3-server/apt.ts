import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentOf, runTool, type LabContext } from '../context.ts';

/** apt with lists, caches and package state of its own: it sees only one suite of Debian, and changes nothing on the machine. */
export interface PrivateApt {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface AptSource {
  readonly mirror: string;
  readonly suite: string;
  readonly keyring: string;
}

const DOWNLOAD_TIMEOUT_MS = 600_000;
const HANDED_ON = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

/** Prepares it in `directory` and fetches the suite's package list. Proxies and credentials stay those of this machine's apt. */
export async function openApt(directory: string, source: AptSource, context: LabContext): Promise<PrivateApt> {
  await mkdir(join(directory, 'lists/partial'), { recursive: true });
  await mkdir(join(directory, 'cache/archives/partial'), { recursive: true });
  // An empty status file: to apt nothing is installed, so that it finds every package that is needed.
  await writeFile(join(directory, 'status'), '');
  await writeFile(join(directory, 'sources.list'), `deb [signed-by=${source.keyring}] ${source.mirror} ${source.suite} main\n`, {
    mode: 0o600,
  });
  await writeFile(join(directory, 'apt.conf'), aptConfiguration(directory));
  const environment: Record<string, string> = {};
  for (const name of HANDED_ON) {
    const value = environmentOf(context)[name];
    if (value !== undefined) environment[name] = value;
  }
  const apt = { directory, environment };
  await runApt(apt, 'apt-get', ['update', '-qq', '-o', 'APT::Update::Error-Mode=any'], context);
  return apt;
}

/** Read by `-c`, after the machine's own files: only there can the hooks of those be cleared. */
function aptConfiguration(directory: string): string {
  return [
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    `Dir::Etc::sourcelist "${directory}/sources.list";`,
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferences "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::State::lists "${directory}/lists/";`,
    `Dir::State::status "${directory}/status";`,
    `Dir::State::extended_states "${directory}/extended_states";`,
    `Dir::Cache "${directory}/cache";`,
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Debug::NoLocking "true";',
    '',
  ].join('\n');
}

/** Names of everything that apt would install for `packages` on an empty system. */
export async function resolveClosure(apt: PrivateApt, packages: readonly string[], context: LabContext): Promise<readonly string[]> {
  const { stdout } = await runApt(apt, 'apt-get', ['--simulate', 'install', '--no-install-recommends', ...packages], context);
  return parseSimulatedInstall(stdout);
}

/** The package names in the lines `Inst name (version …)` of a simulated install. */
export function parseSimulatedInstall(output: string): readonly string[] {
  return [...output.matchAll(/^Inst (\S+) /gm)].map((match) => match[1] ?? '');
}

export interface PackageFacts {
  readonly name: string;
  readonly version: string;
  readonly section: string;
}

/** What the package list says of them. */
export async function describePackages(apt: PrivateApt, names: readonly string[], context: LabContext): Promise<readonly PackageFacts[]> {
  const { stdout } = await runApt(apt, 'apt-cache', ['show', '--no-all-versions', ...names], context);
  return parsePackageRecords(stdout);
}

/** Control records (deb822), separated by empty lines. */
export function parsePackageRecords(output: string): readonly PackageFacts[] {
  return output
    .split(/\n\s*\n/)
    .filter((record) => record.includes('Package:'))
    .map((record) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(record)?.[1] ?? '';
      return { name: field('Package'), version: field('Version'), section: field('Section') };
    });
}

/** Downloads the .deb files into `directory`. apt checks them against the signed list. */
export async function downloadPackages(apt: PrivateApt, names: readonly string[], directory: string, context: LabContext): Promise<void> {
  await mkdir(directory, { recursive: true });
  await runApt(apt, 'apt-get', ['download', '-qq', ...names], context, directory);
}

function runApt(apt: PrivateApt, file: string, argv: readonly string[], context: LabContext, cwd?: string) {
  return runTool(context, {
    file,
    argv: ['-c', join(apt.directory, 'apt.conf'), ...argv],
    cwd: cwd ?? apt.directory,
    environment: apt.environment,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
}
