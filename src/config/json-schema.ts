import { toJSONSchema } from 'zod/mini';
import { scheduleSchema } from './schedule-schema.ts';
import { configurationSchema } from './schema.ts';

/**
 * JSON Schema of the configuration file, or of a schedule file, as it is written (before defaults).
 * Draft 7, which every editor's YAML support understands:
 * `# yaml-language-server: $schema=spoke-backup.schema.json`.
 */
export function configurationJsonSchema(kind: 'configuration' | 'schedule' = 'configuration'): Record<string, unknown> {
  const schema = kind === 'configuration' ? configurationSchema : scheduleSchema;
  const title = kind === 'configuration' ? 'Configuration of spoke-backup' : 'Schedule of spoke-backup';
  return { ...toJSONSchema(schema, { io: 'input', target: 'draft-7' }), title };
}
