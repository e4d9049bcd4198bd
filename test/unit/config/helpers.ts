import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach } from 'vitest';
import { parseConfiguration } from '../../../src/config/load.ts';
import type { LoadedConfiguration, LoadOptions } from '../../../src/config/load.ts';
import type { ClusterConfig } from '../../../src/config/model.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { ProcessRequest, ProcessResult, ProcessRunner } from '../../../src/ports/process-runner.ts';

const directories: string[] = [];

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

/** A directory that is gone after the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'config-'));
  directories.push(directory);
  return directory;
}

/** A file in a directory of its own; what the umask is does not matter. */
export async function temporaryFile(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(await temporaryDirectory(), name);
  await writeFile(path, content, { mode });
  await chmod(path, mode);
  return path;
}

/** A configuration with one cluster `main`, whose body is given as YAML indented by nothing. */
export function clusterYaml(body: string): string {
  return `clusters:\n  main:\n${body.replaceAll(/^(?=.)/gm, '    ')}\n`;
}

export function parse(text: string, options: Partial<LoadOptions> = {}): LoadedConfiguration {
  return parseConfiguration('/etc/config.yaml', text, { environment: {}, ...options });
}

export function parseCluster(body: string): ClusterConfig {
  const cluster = parse(clusterYaml(body)).configuration.clusters.get('main');
  if (cluster === undefined) throw new Error('the configuration has no cluster main');
  return cluster;
}

/** The error that it throws; fails where it throws none, or another kind. */
export function errorOf(action: () => unknown): SpokeError {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof SpokeError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

export async function rejectionOf(action: Promise<unknown>): Promise<SpokeError> {
  try {
    await action;
  } catch (thrown) {
    if (thrown instanceof SpokeError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

/** Everything that any way of printing makes of a value. */
export function everyPrint(value: unknown): string {
  const printed = [inspect(value, { depth: 20, showHidden: true }), JSON.stringify(value), `${String(value)}`];
  if (value instanceof SpokeError) printed.push(value.message, value.hint, value.stack ?? '', JSON.stringify(value.details));
  return printed.join('\n');
}

/** Runs nothing: answers each request by `answer`. */
export function fakeRunner(answer: (request: ProcessRequest) => Partial<ProcessResult>): ProcessRunner {
  return {
    run: async (request) => ({ exitCode: 0, stdout: '', stderrTail: '', durationMs: 1, ...answer(request) }),
  };
}
