import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createProcessRunner } from '../../composition.ts';
import { checkConfiguration } from '../../config/check.ts';
import { loadConfiguration, loadConfigurationWithSource } from '../../config/load.ts';
import { SpokeError } from '../../errors.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { renderTable } from '../render/table.ts';
import { loadOptions } from '../session.ts';

interface CheckOptions extends GlobalOptions {
  readonly online?: boolean;
}

/** `spoke-backup config check` */
export async function checkConfigCommand(options: CheckOptions, context: CommandContext): Promise<void> {
  const configuration = await loadConfiguration(loadOptions(options));
  const secrets = { environment: process.env, processes: createProcessRunner(), signal: context.signal };
  const findings = await checkConfiguration(configuration, { ...secrets, shippedSchedulesDirectory: join(context.root, 'schedules') });
  const online =
    options.online === true
      ? await (await import('../check-online.ts')).checkOnline(configuration, { ...secrets, version: context.version })
      : undefined;
  findings.unshift(...(online?.findings ?? []));
  const notes = online?.notes ?? [];
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length > 0) context.output.exitCode = 10;
  else if (findings.length > 0) context.output.exitCode = 3;
  context.output.result({ path: configuration.path, ok: errors.length === 0, findings, ...(online !== undefined && { notes }) }, () =>
    [
      ...findings.map(
        (finding) => `${finding.severity === 'error' ? '✖' : '▲'} ${finding.path}: ${finding.message}\n  next: ${finding.hint}`,
      ),
      ...notes.map(({ path, message }) => `· ${path}: ${message}`),
      `${configuration.path}: ${errors.length === 0 ? 'ok' : `${errors.length} errors`}${findings.length > errors.length ? `, ${findings.length - errors.length} warnings` : ''}`,
    ].join('\n'),
  );
}

/** `spoke-backup config show` */
export async function showConfigCommand(options: GlobalOptions & { readonly origin?: boolean }, context: CommandContext): Promise<void> {
  const { describeOrigins } = await import('../../config/origin.ts');
  const rows = describeOrigins(await loadConfigurationWithSource(loadOptions(options)));
  const shown = rows.map(({ key, value, origin }) => [key, String(value), ...(options.origin === true ? [origin] : [])]);
  const values = rows.map(({ key, value, origin }) => ({ key, value, ...(options.origin === true ? { origin } : {}) }));
  context.output.result({ values }, () => renderTable(['KEY', 'VALUE', ...(options.origin === true ? ['ORIGIN'] : [])], shown));
}

/** `spoke-backup config schema` */
export async function schemaCommand(options: { readonly schedule?: boolean }, _context: CommandContext): Promise<void> {
  const { configurationJsonSchema } = await import('../../config/json-schema.ts');
  const schema = configurationJsonSchema(options.schedule === true ? 'schedule' : 'configuration');
  process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
}

/** `spoke-backup config import --pgbackrest <file>` */
export async function importConfigCommand(
  options: { readonly pgbackrest: string; readonly stanza?: string },
  context: CommandContext,
): Promise<void> {
  const { importPgbackrestConfiguration } = await import('../../config/import-pgbackrest.ts');
  const imported = importPgbackrestConfiguration(
    await readIni(options.pgbackrest),
    options.stanza === undefined ? {} : { stanza: options.stanza },
  );
  for (const warning of imported.warnings) context.output.warn(warning);
  context.output.result({ yaml: imported.yaml, warnings: imported.warnings }, () => imported.yaml);
}

async function readIni(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    throw new SpokeError('USAGE', `${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      hint: 'Name the pgbackrest.conf that is in use.',
    });
  }
}
