import { Document } from 'yaml';
import { SpokeError } from '../errors.ts';
import { isSecretOption, optionFamily, refusalOfExtraOption } from './generated-options.ts';
import { ImportOptions } from './import-options.ts';
import { importRepository } from './import-repository.ts';
import { parseConfiguration } from './load.ts';
import { NAME_PATTERN } from './patterns.ts';
import type { IniEntry } from './pgbackrest-ini.ts';
import { parsePgbackrestIni } from './pgbackrest-ini.ts';

const SECRETS_DIRECTORY = '/etc/spoke-backup/secrets';

export interface ImportedConfiguration {
  /** A configuration file of ours. */
  readonly yaml: string;
  /** What the operator must do or know; also comments of the file. Holds no value of a secret. */
  readonly warnings: readonly string[];
}

/**
 * Says an existing pgbackrest.conf in our words. Secrets are not copied: the file refers to files that the operator
 * makes, and a warning says from which line. What has no counterpart is kept under extraOptions or named in a warning.
 * Throws USAGE where the stanza must be named, CONFIG_INVALID where there is none.
 */
export function importPgbackrestConfiguration(
  iniText: string,
  { stanza: wanted }: { readonly stanza?: string | undefined } = {},
): ImportedConfiguration {
  const { entries, warnings } = parsePgbackrestIni(iniText);
  const stanza = chooseStanza(entries, wanted);
  const cluster = clusterNameOf(stanza);
  const applying = ['global', stanza].flatMap((section) => entries.filter((entry) => entry.section === section));
  const options = new ImportOptions(applying, (option) => `${SECRETS_DIRECTORY}/${cluster}-${option}`);
  const nodes = importNodes(options);
  const repositories = importRepositories(options);
  const pgbackrest = importGeneral(options, { repo: repositories.numbers, pg: nodes.numbers });
  const values = { stanza, pgbackrest, nodes: nodes.values, repositories: repositories.values };
  const all = [...warnings, ...options.warnings, ...commandWarnings(entries, stanza)];
  const body = new Document({ clusters: { [cluster]: values } });
  const problems = problemsOf(body.toString());
  return { yaml: print(body, [...problems, ...all]), warnings: [...problems, ...all] };
}

function chooseStanza(entries: readonly IniEntry[], wanted: string | undefined): string {
  const sections = new Set(entries.map((entry) => entry.section.split(':')[0] ?? ''));
  sections.delete('global');
  const names = [...sections];
  if (wanted !== undefined && sections.has(wanted)) return wanted;
  const [first] = names;
  if (first === undefined) throw new SpokeError('CONFIG_INVALID', 'the pgbackrest configuration has no stanza: no section but [global]');
  if (wanted === undefined && names.length === 1) return first;
  const known = `it has ${names.join(', ')}`;
  const message = wanted === undefined ? `the file has several stanzas: ${known}` : `the file has no stanza ${wanted}: ${known}`;
  throw new SpokeError('USAGE', message, { hint: `Name one of them: --stanza ${first}` });
}

/** pgBackRest's stanzas may be named more freely than our clusters. */
function clusterNameOf(stanza: string): string {
  const name = stanza
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return NAME_PATTERN.test(name) ? name : 'main';
}

interface Imported {
  readonly values: Record<string, unknown>[];
  /** pgBackRest's numbers of them, in the same order. */
  readonly numbers: readonly number[];
}

function importNodes(options: ImportOptions): Imported {
  const values: Record<string, unknown>[] = [];
  const numbers: number[] = [];
  for (const number of options.numbersOf('pg')) {
    const host = options.take(`pg${number}-host`);
    if (host !== undefined) {
      options.takeAll(`pg${number}-`);
      options.warn(host, `pg${number} was left out: it is on another host, which is not supported`);
      continue;
    }
    const node = {
      name: `pg${number}`,
      dataDirectory: options.takeValue(`pg${number}-path`),
      socketDirectory: options.takeValue(`pg${number}-socket-path`),
      port: options.takeNumber(`pg${number}-port`),
    };
    values.push(Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined)));
    numbers.push(number);
  }
  return { values, numbers };
}

function importRepositories(options: ImportOptions): Imported {
  const found = options.numbersOf('repo').map((number) => ({ number, value: importRepository(options, number) }));
  const kept = found.flatMap(({ number, value }) => (value === undefined ? [] : [{ number, value }]));
  for (const [index, { number }] of kept.entries()) {
    if (number !== index + 1) options.warnings.push(`repo${number} is repository ${index + 1} for pgBackRest from now on`);
  }
  return { values: kept.map(({ value }) => value), numbers: kept.map(({ number }) => number) };
}

/** pgBackRest compresses with gz where nothing else is said; we say it, so that nothing changes. */
function importGeneral(
  options: ImportOptions,
  numbers: { readonly repo: readonly number[]; readonly pg: readonly number[] },
): Record<string, unknown> {
  const uncompressed = options.takeValue('compress') === 'n';
  const compressType = options.takeValue('compress-type') ?? (uncompressed ? 'none' : 'gz');
  const compressLevel = options.takeNumber('compress-level');
  const values = {
    processMax: options.takeNumber('process-max'),
    compressType,
    compressLevel: compressType === 'none' ? undefined : compressLevel,
    lockPath: options.takeValue('lock-path'),
    spoolPath: options.takeValue('spool-path'),
  };
  const extraOptions: Record<string, string> = {};
  for (const entry of options.takeAll('')) {
    const name = renumber(entry.name, numbers);
    const reason = name === undefined ? 'what it belongs to was left out' : refusalOf(name, entry.value);
    if (name === undefined || reason !== undefined) options.warn(entry, `${entry.name} was left out: ${reason}`);
    else extraOptions[name] = entry.value;
  }
  const present = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  return Object.keys(extraOptions).length === 0 ? present : { ...present, extraOptions };
}

function refusalOf(name: string, value: string): string | undefined {
  if (isSecretOption(name) || /pass|secret|token/.test(optionFamily(name))) return 'its value looks like a secret';
  if (value === '') return 'it is empty';
  return /^[a-z0-9][a-z0-9-]*$/.test(name) ? refusalOfExtraOption(name) : 'it is not the name of an option';
}

/** `repo3-bundle` of what is now the second repository is `repo2-bundle`. */
function renumber(name: string, numbers: { readonly repo: readonly number[]; readonly pg: readonly number[] }): string | undefined {
  const match = /^(repo|pg)(\d+)-(.+)$/.exec(name);
  if (match === null) return name;
  const [, kind, number, rest] = match;
  const index = numbers[kind === 'repo' ? 'repo' : 'pg'].indexOf(Number(number));
  return index === -1 ? undefined : `${kind}${index + 1}-${rest}`;
}

/** Options for one command alone have no counterpart. */
function commandWarnings(entries: readonly IniEntry[], stanza: string): string[] {
  return entries
    .filter(({ section }) => section.startsWith('global:') || section.startsWith(`${stanza}:`))
    .map(({ line, name, section }) => `line ${line}: ${name} for one command alone ([${section}]) was left out`);
}

/** What must be corrected before the file can be loaded. */
function problemsOf(yaml: string): string[] {
  try {
    parseConfiguration('imported.yaml', yaml, { environment: {} });
    return [];
  } catch (thrown) {
    if (!(thrown instanceof SpokeError)) throw thrown;
    const problems = thrown.details['problems'] as readonly { key: string; problem: string }[];
    return problems.map(({ key, problem }) => `to be corrected: ${key} ${problem}`);
  }
}

function print(body: Document, warnings: readonly string[]): string {
  body.commentBefore = [' Imported from a configuration of pgBackRest.', ...warnings.map((line) => ` ${oneLine(line)}`)].join('\n');
  return body.toString({ lineWidth: 0 });
}

function oneLine(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f]/g, ' ');
}
