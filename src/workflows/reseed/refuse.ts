import { SpokeError } from '../../errors.ts';
import type { ReseedOption } from '../../domain/topology/reseed-option.ts';
import type { ReseedRequest, ReseedWorld, SeedingWorld } from './request.ts';

type Rule = (request: ReseedRequest, world: ReseedWorld) => SpokeError | undefined;

/** The first that says no counts; after them there is one primary, and the target may be seeded. */
const RULES: readonly Rule[] = [
  refusePatroni,
  refusePrimary,
  refuseStranger,
  refuseWithoutPrimary,
  refuseUnseen,
  refuseUnknownRole,
  refuseDirectory,
  refuseOwner,
  refuseMissingPostgres,
  refuseEveryMethod,
];

/** Throws why nothing may be done. */
export function refuseReseed(request: ReseedRequest, world: ReseedWorld): void {
  for (const rule of RULES) {
    const refusal = rule(request, world);
    if (refusal !== undefined) throw refusal;
  }
}

function refusePatroni({ cluster, node }: ReseedRequest): SpokeError | undefined {
  if (cluster.patroni === undefined) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `Patroni manages ${cluster.name}: nothing is done beside it`, {
    hint: `patronictl reinit ${cluster.patroni.scope} ${node}`,
  });
}

function refusePrimary({ node }: ReseedRequest, { role }: ReseedWorld): SpokeError | undefined {
  if (role.role !== 'primary') return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `${node} is a primary: nothing of it is touched`, { details: { node } });
}

function refuseStranger({ node }: ReseedRequest, { role, topology }: ReseedWorld): SpokeError | undefined {
  if (role.role !== 'stranger') return undefined;
  const expected = topology.systemIdentifier;
  return new SpokeError(
    'REFUSED_WRONG_CLUSTER',
    expected === undefined
      ? `${node} has the system identifier ${role.systemIdentifier}, and which cluster is meant cannot be told`
      : `${node} is of another cluster: its system identifier is ${role.systemIdentifier}, not ${expected}`,
    { details: { node, found: String(role.systemIdentifier), expected: expected === undefined ? null : String(expected) } },
  );
}

function refuseWithoutPrimary(_request: ReseedRequest, { topology }: ReseedWorld): SpokeError | undefined {
  if (topology.primary !== undefined) return undefined;
  const { primaries } = topology;
  if (primaries.length === 0) return new SpokeError('POSTGRES_UNAVAILABLE', 'no primary answers: there is nothing to seed from');
  return new SpokeError('REFUSED_PRECONDITION', `${primaries.map(({ node }) => node).join(' and ')} are primaries, all of them`, {
    hint: 'Stop the wrong one first; see: spoke-backup status',
  });
}

function refuseUnseen({ node }: ReseedRequest, { target, seeding }: ReseedWorld): SpokeError | undefined {
  if (seeding !== undefined) return undefined;
  if (target.node.dataDirectory === undefined)
    return new SpokeError('CONFIG_INVALID', `the data directory of ${node} is not known`, { hint: 'Add dataDirectory to that node.' });
  return new SpokeError('REFUSED_PRECONDITION', `the host of ${node} cannot be looked at: ${target.hostFault ?? 'it does not tell'}`);
}

/** Something runs there and does not say what it is. */
function refuseUnknownRole({ node }: ReseedRequest, { role, target }: ReseedWorld): SpokeError | undefined {
  const { directory } = target;
  if (role.role === 'standby' || directory?.running === undefined) return undefined;
  const isStandby = directory.hasStandbySignal && directory.control?.state !== 'in production';
  if (isStandby) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `a server runs on the data directory of ${node} and may be a primary`, {
    details: { node, state: directory.control?.state ?? null, unreachable: target.unreachable ?? null },
    hint: `Stop it yourself where it is none, then repeat the command.`,
  });
}

function refuseDirectory(_request: ReseedRequest, { seeding }: ReseedWorld): SpokeError | undefined {
  const { path, kind, forbidden, parentWritable } = (seeding as SeedingWorld).directory;
  const why =
    forbidden ??
    (kind === 'other' ? 'it holds something else than a PostgreSQL server' : kind === 'not a directory' ? 'it is no directory' : undefined);
  if (why !== undefined)
    return new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path}: ${why}`, { hint: 'Correct dataDirectory of that node.' });
  if (parentWritable) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `nothing can be written beside ${path}, where a reseed keeps its mark and the passfile`);
}

function refuseOwner(_request: ReseedRequest, { seeding }: ReseedWorld): SpokeError | undefined {
  const { owner, currentUser, directory } = seeding as SeedingWorld;
  if (owner === undefined)
    return new SpokeError('REFUSED_PRECONDITION', 'a server cannot run as root, and there is no user "postgres" to run it as', {
      hint: 'Name the operating system user with osUser in the configuration.',
    });
  if (currentUser.uid === 0 || currentUser.uid === owner.uid) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `${directory.path} belongs to ${owner.name}, and this is ${currentUser.name}`, {
    hint: `Run the command as ${owner.name}: sudo -u ${owner.name} spoke-backup …`,
  });
}

function refuseMissingPostgres({ node }: ReseedRequest, { seeding }: ReseedWorld): SpokeError | undefined {
  const { installation, facts } = seeding as SeedingWorld;
  if (installation?.major === facts.primary.postgresMajor) return undefined;
  return new SpokeError('REFUSED_POSTGRES_VERSION', `PostgreSQL ${facts.primary.postgresMajor} was not found on the host of ${node}`);
}

function refuseEveryMethod(_request: ReseedRequest, { seeding }: ReseedWorld): SpokeError | undefined {
  const { choice } = seeding as SeedingWorld;
  if (choice.chosen !== undefined) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `nothing can be seeded that way: ${choice.reason}`, {
    details: { options: choice.options.map(optionToJson) },
    hint: 'Leave out --method and --from to see every way.',
  });
}

/** With its price in plain JSON. */
export function optionToJson(option: ReseedOption) {
  const base = { method: option.method, source: option.source ?? null, kind: option.kind, reason: option.reason };
  if (option.kind === 'refused') return base;
  const { bytesMoved, primaryBytes, seconds } = option.price;
  return { ...base, bytesMoved: String(bytesMoved), primaryBytes: String(primaryBytes), seconds: Math.round(seconds) };
}
