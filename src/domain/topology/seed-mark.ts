/** How far the seeding of a standby has come. */
export type SeedPhase =
  /** Nothing of the standby was changed. */
  | 'reserved'
  /** Begun and not through: what is there is good for nothing but another attempt. */
  | 'seeding'
  | 'seeded'
  /** With the settings of a standby: it can be started. */
  | 'configured';

/** What is written down beside the data directory of a standby while it is seeded. */
export interface SeedMark {
  readonly runId: string;
  readonly phase: SeedPhase;
  /** By which method it is seeded; absent while it is reserved. */
  readonly method?: string;
  /** device:inode of what was seeded: recognised again after it was renamed. */
  readonly dataIdentity?: string;
}

const PHASES: readonly string[] = ['reserved', 'seeding', 'seeded', 'configured'] satisfies readonly SeedPhase[];

/** Undefined for anything else than what formatSeedMark has written. */
export function parseSeedMark(text: string): SeedMark | undefined {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof found !== 'object' || found === null) return undefined;
  const { runId, phase, method, dataIdentity } = found as Partial<Record<keyof SeedMark, unknown>>;
  if (typeof runId !== 'string' || typeof phase !== 'string' || !PHASES.includes(phase)) return undefined;
  return {
    runId,
    phase: phase as SeedPhase,
    ...(typeof method === 'string' ? { method } : {}),
    ...(typeof dataIdentity === 'string' ? { dataIdentity } : {}),
  };
}

export function formatSeedMark(mark: SeedMark): string {
  return `${JSON.stringify(mark)}\n`;
}
