import * as z from 'zod/mini';

/** The same schema with a description for editors. Copies it, which a listing of backups, where nobody sees it, is built without. */
export function key<T extends z.ZodMiniType>(description: string, schema: T): T {
  return schema.check(z.describe(description));
}
