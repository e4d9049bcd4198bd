import * as z from 'zod/mini';
import { SpokeError } from '../errors.ts';
import type { Step, StepBase, StepKind } from '../plan/step.ts';
import { SHAPES_OF_RESEED } from './reseed-shapes.ts';
import type { ShapeOf } from './shape-of.ts';
import * as v from './shape-values.ts';

/** What restores and set-ups have done on the host of a node. */
const SHAPES_OF_RESTORE = {
  'reserve-restore-area': { area: v.area, owner: v.owner, runId: v.name, backup: v.pinnedBackup },
  'clear-restore-area': { area: v.area, server: v.isolatedServer, tablespaceMap: v.tablespaceMap },
  'copy-backup': {
    area: v.area,
    owner: v.owner,
    backup: v.pinnedBackup,
    target: v.target,
    timeline: v.timeline,
    tablespaceMap: v.tablespaceMap,
    resume: z.boolean(),
  },
  'salvage-wal': { area: v.area, owner: v.owner, fromDirectory: v.path, files: v.fileNames },
  'stage-tail': {
    area: v.area,
    owner: v.owner,
    repository: v.name,
    segments: v.fileNames,
    histories: z.array(z.strictObject({ name: v.fileName, text: v.longText })),
    systemIdentifier: v.name,
  },
  'start-isolated': { server: v.isolatedServer, archiving: v.archiving, backup: v.pinnedBackup },
  'prove-target': { server: v.isolatedServer, target: v.target, leastLsn: z.optional(v.line), backup: v.pinnedBackup },
  'promote-isolated': { server: v.isolatedServer },
  'stop-isolated': { server: v.isolatedServer },
  'settle-configuration': { area: v.area, owner: v.owner, keepRecoverySettings: z.boolean(), archiving: v.archiving },
  'stop-server': {
    node: v.name,
    dataDirectory: v.path,
    postgresMajor: v.major,
    owner: v.owner,
    service: v.service,
    destinationIdentity: z.optional(v.identity),
  },
  'swap-data-directory': {
    area: v.area,
    dataDirectory: v.path,
    oldDataDirectory: z.optional(v.path),
    destinationIdentity: z.optional(v.identity),
  },
  'start-restored': {
    dataDirectory: v.path,
    postgresMajor: v.major,
    owner: v.owner,
    port: v.port,
    socketDirectory: v.path,
    service: v.service,
  },
  'confirm-restored': {
    node: z.optional(v.name),
    dataDirectory: v.path,
    port: v.port,
    socketDirectory: v.path,
    superusers: z.array(v.line),
    systemIdentifier: v.name,
    writable: z.boolean(),
  },
  'discard-old': { oldDataDirectory: v.path, identity: z.optional(v.identity) },
  'release-restore-area': { area: v.area },
  'end-isolated': { server: v.isolatedPlace },
  'discard-restore-area': { server: v.isolatedPlace, tablespaceMap: v.tablespaceMap },
} satisfies { readonly [K in StepKind]?: ShapeOf<K> };

const SHAPES_OF_SETUP = {
  'create-repositories': {},
  'write-configuration': {},
  'restart-server': { node: v.name, dataDirectory: z.optional(v.path), postgresMajor: v.major, service: v.service },
  'check-archiving': { node: v.name },
  'close-wal-segment': { node: v.name, repositories: z.array(v.name) },
  'take-backup': {
    repository: v.name,
    alsoInto: z.optional(z.array(v.name)),
    unlessThere: z.optional(z.literal(true)),
    type: z.enum(['full', 'diff', 'incr']),
    runId: v.name,
  },
} satisfies { readonly [K in StepKind]?: ShapeOf<K> };

const SHAPES_OF_CHANGING_PRIMARIES = {
  'stop-primary': { server: v.heldServer, mode: z.enum(['fast', 'immediate']) },
  'start-standby': { server: v.heldServer },
  'bring-back-primary': { server: v.heldServer },
  'repoint-pgbouncer': { bouncer: v.name, primary: v.name, configFile: v.path, configuration: v.longText },
} satisfies { readonly [K in StepKind]?: ShapeOf<K> };

/** Every kind of step that another host does for us. What is not here is never sent, and refused where it comes. */
const SHAPES: { readonly [K in StepKind]?: ShapeOf<K> } = {
  ...SHAPES_OF_RESTORE,
  ...SHAPES_OF_SETUP,
  ...SHAPES_OF_RESEED,
  ...SHAPES_OF_CHANGING_PRIMARIES,
};

const BASE: ShapeOfBase = {
  id: v.line,
  effect: z.enum(['read', 'write', 'destructive']),
  title: v.line,
  reason: v.longText,
  probe: v.longText,
  timeoutMs: v.wholeNumber,
  retry: z.enum(['transient', 'never']),
  onFailure: z.enum(['stop', 'continue']),
  on: v.line,
};
type ShapeOfBase = { readonly [P in keyof StepBase]-?: z.ZodMiniType };

/** The kinds of steps that another host can be asked for. */
export const KINDS_FOR_HOSTS: ReadonlySet<string> = new Set(Object.keys(SHAPES));

/** The step that was sent. Throws TOOL_UNSUPPORTED where it is none that is known here, or is not as it must be. */
export function parseStep(sent: unknown): Step {
  const kind: unknown = typeof sent === 'object' && sent !== null ? Reflect.get(sent, 'kind') : undefined;
  const shape = typeof kind === 'string' && Object.hasOwn(SHAPES, kind) ? SHAPES[kind as StepKind] : undefined;
  if (shape === undefined) throw refused(String(kind), 'no step of that kind is done for another host');
  const parsed = z.strictObject({ ...BASE, ...shape, kind: z.literal(String(kind)) }).safeParse(sent);
  if (parsed.success) return parsed.data as unknown as Step;
  const [issue] = parsed.error.issues;
  throw refused(String(kind), `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not as it must be'}`);
}

function refused(kind: string, why: string): SpokeError {
  return new SpokeError('TOOL_UNSUPPORTED', `the step ${kind} is refused: ${why}`, {
    hint: 'Install the same version of spoke-backup on every host.',
  });
}
