import * as z from 'zod/mini';
import { SpokeError } from '../errors.ts';
import type { InstanceReader } from '../ports/instance.ts';
import type { OperationContext } from '../ports/operation.ts';
import { line, major, path, wholeNumber } from './shape-values.ts';

type Inspection = (instance: InstanceReader, of: unknown, context: OperationContext) => Promise<unknown>;

function inspection<Schema extends z.ZodMiniType>(
  schema: Schema,
  ask: (instance: InstanceReader, of: z.output<Schema>, context: OperationContext) => Promise<unknown>,
): Inspection {
  return (instance, of, context) => {
    const parsed = schema.safeParse(of);
    if (!parsed.success) throw new SpokeError('USAGE', `that cannot be inspected: ${parsed.error.issues[0]?.message ?? ''}`);
    return ask(instance, parsed.data, context);
  };
}

const server = z.strictObject({ dataDirectory: path, pid: z.optional(wholeNumber) });

/** Every question that InstanceReader answers, but for who we are, which is said once. */
const INSPECTIONS = {
  inspectDirectory: inspection(z.tuple([path]), (instance, [at], context) => instance.inspectDirectory(at, context)),
  findInstallation: inspection(z.tuple([major]), (instance, [version], context) => instance.findInstallation(version, context)),
  findUser: inspection(z.tuple([line]), (instance, [name]) => instance.findUser(name)),
  ownerOf: inspection(z.tuple([path]), (instance, [at]) => instance.ownerOf(at)),
  readFileTail: inspection(z.tuple([path, wholeNumber]), (instance, [at, maxBytes]) => instance.readFileTail(at, maxBytes)),
  readServerLog: inspection(z.tuple([server, wholeNumber]), (instance, [{ dataDirectory, pid }, maxBytes]) =>
    instance.readServerLog({ dataDirectory, ...(pid === undefined ? {} : { pid }) }, maxBytes),
  ),
  readWalEnd: inspection(z.tuple([path]), (instance, [dataDirectory]) => instance.readWalEnd(dataDirectory)),
  listFiles: inspection(z.tuple([path]), (instance, [directory]) => instance.listFiles(directory)),
  findFreePort: inspection(z.tuple([]), (instance) => instance.findFreePort()),
  freeSpaceOf: inspection(z.tuple([path]), (instance, [at]) => instance.freeSpaceOf(at)),
  availableMemoryBytes: inspection(z.tuple([]), (instance) => instance.availableMemoryBytes()),
} satisfies Readonly<Record<Exclude<keyof InstanceReader, 'currentUser'>, Inspection>>;

/** Asks this machine. Throws TOOL_UNSUPPORTED for a question that is not known here. */
export async function inspect(what: string, of: unknown, instance: InstanceReader, context: OperationContext): Promise<unknown> {
  const found = Object.hasOwn(INSPECTIONS, what) ? INSPECTIONS[what as keyof typeof INSPECTIONS] : undefined;
  if (found === undefined) throw new SpokeError('TOOL_UNSUPPORTED', `"${what}" is no question that is answered here`);
  return found(instance, of, context);
}
