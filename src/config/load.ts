import { resolve } from 'node:path';
import { SpokeError } from '../errors.ts';
import { buildCluster, buildNotices } from './build.ts';
import type { Configuration } from './model.ts';
import { isTimezone, PATH_PATTERN, PATH_RULE, TIMEZONE_RULE } from './patterns.ts';
import { problemsOfSchema } from './problems.ts';
import { readConfigurationText } from './read-text.ts';
import { invalidConfiguration } from './report.ts';
import { problemsAcrossKeys } from './rules.ts';
import { configurationSchema } from './schema.ts';
import type { Problem, YamlSource } from './yaml-source.ts';
import { parseYaml, printPath } from './yaml-source.ts';

const DEFAULT_CONFIGURATION_PATH = '/etc/spoke-backup/config.yaml';

/** Settings that may come from elsewhere than the file. */
export type OverridableKey = 'stateDirectory' | 'timezone';

const OVERRIDES: Readonly<Record<OverridableKey, { variable: string; flag: string }>> = {
  stateDirectory: { variable: 'SPOKE_BACKUP_STATE_DIRECTORY', flag: '--state-directory' },
  timezone: { variable: 'SPOKE_BACKUP_TIMEZONE', flag: '--timezone' },
};

export interface LoadOptions {
  /** --config; else SPOKE_BACKUP_CONFIG, else the default path. */
  readonly path?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Given on the command line: before the environment, which is before the file. */
  readonly flags?: { readonly [K in OverridableKey]?: string | undefined };
}

/** An override that was used, and where it came from. */
interface Override {
  readonly value: string;
  /** `flag --timezone` or `environment SPOKE_BACKUP_TIMEZONE`. */
  readonly origin: string;
}

/** The configuration together with what it was made of: for showing where each value comes from. */
export interface LoadedConfiguration {
  readonly configuration: Configuration;
  readonly source: YamlSource;
  readonly overrides: Readonly<Partial<Record<OverridableKey, Override>>>;
}

/** Throws CONFIG_NOT_FOUND, or CONFIG_INVALID with every problem of the file in its message and its details. */
export async function loadConfiguration(options: LoadOptions): Promise<Configuration> {
  return (await loadConfigurationWithSource(options)).configuration;
}

/** As loadConfiguration, with the origins. */
export async function loadConfigurationWithSource(options: LoadOptions): Promise<LoadedConfiguration> {
  const path = configurationPath(options);
  const text = readConfigurationText(path);
  if (text === undefined) {
    const message = `there is no configuration file ${path} (${whyThisPath(options)})`;
    throw new SpokeError('CONFIG_NOT_FOUND', message, { details: { path } });
  }
  return parseConfiguration(path, text, options);
}

/** The absolute path of the file that would be read. */
function configurationPath(options: LoadOptions): string {
  return resolve(options.path ?? (options.environment['SPOKE_BACKUP_CONFIG'] || DEFAULT_CONFIGURATION_PATH));
}

/** Reads the text of a configuration file. Throws CONFIG_INVALID. */
export function parseConfiguration(path: string, text: string, options: LoadOptions): LoadedConfiguration {
  const source = parseYaml(text);
  const readable = source.problems.length === 0 || source.tree !== undefined;
  const checked = readable ? problemsOfSchema(configurationSchema, source.tree ?? {}) : { problems: [] };
  const { overrides, problems: overrideProblems } = readOverrides(options);
  const problems = [
    ...source.problems,
    ...withoutRepeats(checked.problems, source.problems),
    ...(readable ? problemsAcrossKeys(source.tree) : []),
  ];
  if (problems.length + overrideProblems.length > 0 || checked.value === undefined) {
    throw invalidConfiguration(path, problems, source, overrideProblems);
  }
  const { clusters, stateDirectory, daemon, history, notices } = checked.value;
  const timezone = overrides.timezone?.value ?? checked.value.timezone;
  const configuration: Configuration = {
    path,
    stateDirectory: overrides.stateDirectory?.value ?? stateDirectory,
    ...(timezone === undefined ? {} : { timezone }),
    daemon,
    history,
    notices: buildNotices(notices),
    clusters: new Map(Object.entries(clusters).map(([name, values]) => [name, buildCluster(name, values)])),
  };
  return { configuration, source, overrides };
}

function whyThisPath(options: LoadOptions): string {
  if (options.path !== undefined) return 'from --config';
  return options.environment['SPOKE_BACKUP_CONFIG'] ? 'from SPOKE_BACKUP_CONFIG' : 'the default path';
}

function readOverrides(options: LoadOptions): { overrides: LoadedConfiguration['overrides']; problems: string[] } {
  const overrides: Partial<Record<OverridableKey, Override>> = {};
  const problems: string[] = [];
  const rules: Record<OverridableKey, (value: string) => string | undefined> = {
    stateDirectory: (value) => (PATH_PATTERN.test(value) ? undefined : PATH_RULE),
    timezone: (value) => (isTimezone(value) ? undefined : TIMEZONE_RULE),
  };
  for (const key of Object.keys(OVERRIDES) as OverridableKey[]) {
    const { flag, variable } = OVERRIDES[key];
    const flagged = options.flags?.[key];
    const value = flagged ?? (options.environment[variable] || undefined);
    if (value === undefined) continue;
    const origin = flagged === undefined ? `environment ${variable}` : `flag ${flag}`;
    const fault = rules[key](value);
    if (fault === undefined) overrides[key] = { value, origin };
    else problems.push(`${key} from ${origin} ${fault}`);
  }
  return { overrides, problems };
}

/** What the parser refused is missing for the schema: said once is enough. */
function withoutRepeats(problems: readonly Problem[], known: readonly Problem[]): readonly Problem[] {
  const places = new Set(known.map((problem) => printPath(problem.path)));
  return problems.filter((problem) => !places.has(printPath(problem.path)));
}
