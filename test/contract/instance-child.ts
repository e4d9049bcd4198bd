/**
 * Uses the machine from a process of its own, so that it can be another user, or see less. Arguments: a method and its
 * arguments as JSON. Prints the result as JSON, or `{ "error": code, "message": … }`.
 */
import { createInstanceControl } from '../../src/adapters/instance/control.ts';
import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { SpokeError } from '../../src/errors.ts';
import type { FileOwner, ServerStart } from '../../src/ports/instance.ts';

const runner = createProcessRunner();
const [reader, control] = [createInstanceReader({ runner }), createInstanceControl({ runner })];
const context = { signal: new AbortController().signal };

const methods = {
  inspect: (path: string) => reader.inspectDirectory(path, context),
  start: (start: ServerStart) => control.startServer(start, context),
  stop: (server: { dataDirectory: string; binDirectory: string; owner: FileOwner; mode: 'fast' | 'immediate' }) =>
    control.stopServer(server, context),
  create: (path: string, owner: FileOwner) => control.createDirectory(path, owner),
  write: (path: string, content: string, owner: FileOwner) => control.writeFileDurably(path, content, owner, 0o600),
  rename: (from: string, to: string, identity: string) => control.renameDirectory(from, to, identity),
  remove: (path: string, identity: string) => control.removeDirectory(path, identity),
};

const [name, ...args] = process.argv.slice(2);
if (!(name !== undefined && Object.hasOwn(methods, name))) throw new Error(`no such method: ${name}`);
const method = methods[name as keyof typeof methods] as (...values: unknown[]) => Promise<unknown>;
const result = await method(...args.map((text) => JSON.parse(text) as unknown)).catch((thrown: unknown) => {
  if (thrown instanceof SpokeError) return { error: thrown.code, message: thrown.message };
  throw thrown;
});
process.stdout.write(JSON.stringify(result ?? null, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
