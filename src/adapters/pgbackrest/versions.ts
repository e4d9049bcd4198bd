import { SpokeError } from '../../errors.ts';

/** What a pgBackRest version brings that we depend on or work around, newest last. Read from its release notes. */
const VERSIONS = [
  { version: '2.45', newestPostgres: 15 },
  { version: '2.46', newestPostgres: 16 },
  { version: '2.53.1', newestPostgres: 17 },
  { version: '2.55.0', newestPostgres: 18 },
] as const;

const OLDEST = VERSIONS[0].version;
/** The newest that this table was made with: of later ones it cannot say what they do not know. */
const NEWEST_LOOKED_AT = '2.60.0';

/** Compares by number, part by part: `2.53.1` is newer than `2.53`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.replace(/dev$/, '').split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (left?.[part] ?? 0) - (right?.[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Reads what `pgbackrest version` prints. Throws TOOL_UNSUPPORTED for what is older than 2.45 or not pgBackRest at all. */
export function readVersion(printed: string): string {
  const version = /^pgBackRest (\d+\.\d+(?:\.\d+)?(?:dev)?)\s*$/m.exec(printed)?.[1];
  if (version === undefined)
    throw new SpokeError('TOOL_UNSUPPORTED', `this is no pgBackRest: it calls itself "${printed.trim().slice(0, 80)}"`);
  if (compareVersions(version, OLDEST) < 0)
    throw new SpokeError('TOOL_UNSUPPORTED', `pgBackRest ${version} is too old: ${OLDEST} or later is needed`, { details: { version } });
  return version;
}

/** The newest major version of PostgreSQL that a pgBackRest knows; undefined for versions newer than this table. */
export function newestPostgres(version: string): number | undefined {
  if (compareVersions(version, NEWEST_LOOKED_AT) > 0) return undefined;
  return VERSIONS.findLast((entry) => compareVersions(version, entry.version) >= 0)?.newestPostgres;
}

/** Before 2.53 one lock is for all repositories of a stanza. */
export function locksWholeStanza(version: string): boolean {
  return compareVersions(version, '2.53') < 0;
}

/** Which version brings which PostgreSQL, in words. */
export function postgresSupport(): string {
  return VERSIONS.map(({ version, newestPostgres }) => `PostgreSQL ${newestPostgres} needs ${version}`).join(', ');
}
