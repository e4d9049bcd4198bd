/** What a run, or the daemon, does to a cluster, as far as others must keep away from it meanwhile. */
export const CLAIM_VERBS = [
  'backup',
  'expire',
  'pin',
  'verify',
  'restore-beside',
  'restore-in-place',
  'setup',
  'drill',
  'reseed',
  'failover',
  'daemon',
] as const;

export type ClaimVerb = (typeof CLAIM_VERBS)[number];

/** When two verbs must not overlap. Clusters are apart but for their data directories, which are compared across clusters. */
export type ConflictRule = 'never' | 'same repository' | 'same data directory' | 'always';

/** What somebody wants for himself, or with others where the matrix lets them. Plain JSON. */
export interface Claim {
  readonly verb: ClaimVerb;
  readonly cluster: string;
  /** Names of the repositories that it reads or changes. */
  readonly repositories: readonly string[];
  /** The data directory that it writes, where it writes one. Means something on `host` only. */
  readonly dataDirectory?: string;
  readonly host: string;
}

type Row = Readonly<Partial<Record<ClaimVerb, ConflictRule>>>;

/** Each pair once, under the verb that comes first; what is not here never conflicts. docs/concurrency.md has it all, with reasons. */
const RULES: Readonly<Partial<Record<ClaimVerb, Row>>> = {
  backup: { backup: 'same repository', expire: 'same repository', 'restore-in-place': 'always', setup: 'always', failover: 'always' },
  expire: {
    expire: 'same repository',
    verify: 'same repository',
    'restore-beside': 'same repository',
    'restore-in-place': 'same repository',
    setup: 'always',
    drill: 'same repository',
    reseed: 'same repository',
    failover: 'always',
  },
  // The list of pins is one file.
  pin: { pin: 'always' },
  'restore-beside': {
    'restore-beside': 'same data directory',
    'restore-in-place': 'same data directory',
    drill: 'same data directory',
    reseed: 'same data directory',
  },
  'restore-in-place': {
    'restore-in-place': 'always',
    setup: 'always',
    drill: 'same data directory',
    reseed: 'always',
    failover: 'always',
  },
  setup: { setup: 'always', reseed: 'always', failover: 'always' },
  drill: { drill: 'same data directory', reseed: 'same data directory' },
  reseed: { reseed: 'same data directory', failover: 'always' },
  failover: { failover: 'always' },
  daemon: { daemon: 'always' },
};

/** When two verbs must not overlap on one cluster. Symmetric. */
export function conflictRule(one: ClaimVerb, other: ClaimVerb): ConflictRule {
  return RULES[one]?.[other] ?? RULES[other]?.[one] ?? 'never';
}

/** Whether two claims must not be held at the same time. Symmetric. */
export function conflicts(one: Claim, other: Claim): boolean {
  const rule = conflictRule(one.verb, other.verb);
  // Whatever else holds: a directory has one writer.
  if (rule !== 'never' && haveSameDataDirectory(one, other)) return true;
  if (one.cluster !== other.cluster) return false;
  if (rule === 'same repository') return one.repositories.some((repository) => other.repositories.includes(repository));
  return rule === 'always';
}

function haveSameDataDirectory(one: Claim, other: Claim): boolean {
  return one.dataDirectory !== undefined && one.dataDirectory === other.dataDirectory && one.host === other.host;
}
