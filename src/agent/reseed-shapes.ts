import * as z from 'zod/mini';
import type { StepKind } from '../plan/step.ts';
import type { ShapeOf } from './shape-of.ts';
import * as v from './shape-values.ts';

const standby = z.strictObject({
  node: v.name,
  dataDirectory: v.path,
  identity: z.optional(v.identity),
  systemIdentifier: v.name,
  primary: v.name,
});
const into = z.enum(['data directory', 'beside']);
const settings = z.record(z.string().check(z.regex(/^[a-z][a-z0-9_.]{0,100}$/)), v.line);
const seeding = { standby, area: v.area, owner: v.owner };

/** What a reseed has done on the host of its standby. */
export const SHAPES_OF_RESEED = {
  'stop-standby': { standby, postgresMajor: v.major, owner: v.owner, service: v.service },
  'write-passfile': {
    node: v.name,
    path: v.path,
    dataDirectory: v.path,
    owner: z.optional(v.owner),
    role: v.line,
    servers: z.array(z.strictObject({ host: v.line, port: v.port })).check(z.maxLength(1000)),
  },
  'reserve-reseed': { ...seeding, runId: v.name },
  'rewind-standby': {
    ...seeding,
    postgresMajor: v.major,
    conninfo: v.line,
    configFile: z.optional(v.path),
    restoreFrom: z.optional(v.name),
  },
  'restore-standby': { ...seeding, backup: v.pinnedBackup, into, tablespaceMap: v.tablespaceMap },
  'copy-standby': { ...seeding, postgresMajor: v.major, conninfo: v.line, slot: z.optional(v.name) },
  'configure-standby': { ...seeding, into, settings, restoreFrom: z.optional(v.name) },
  'swap-standby': { standby, area: v.area, oldDataDirectory: z.optional(v.path) },
} satisfies { readonly [K in StepKind]?: ShapeOf<K> };
