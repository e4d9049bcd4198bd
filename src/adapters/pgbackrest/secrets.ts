import type { PgbackrestSettings } from './settings.ts';

/** Everything in the settings that must never be shown. */
export function secretsOf({ repositories }: PgbackrestSettings): readonly string[] {
  return repositories
    .flatMap((repository) => [
      repository.cipherPassphrase,
      ...(repository.kind === 's3' ? [repository.secretKey, repository.sessionToken] : []),
    ])
    .filter((secret) => secret !== undefined);
}
