import { withoutRecoverySettings } from '../recovery/settings.ts';

/** The text of a postgresql.auto.conf with these settings, and with none that an earlier life has left of recovery. */
export function standbyAutoConf(present: string, settings: Readonly<Record<string, string>>): string {
  const kept = withoutRecoverySettings(present, Object.keys(settings));
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${quoted(value)}'\n`);
  return `${kept}${kept === '' || kept.endsWith('\n') ? '' : '\n'}${lines.join('')}`;
}

/** As PostgreSQL's configuration files have it between quotes (GUC_scanstr): backslashes mean something there. */
function quoted(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}
