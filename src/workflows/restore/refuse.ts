import { SpokeError } from '../../errors.ts';
import { formatBytes } from '../../domain/bytes.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import { reasonOutOfReach } from './out-of-reach.ts';
import type { RestoreRequest, RestoreWorld } from './request.ts';
import { areOnOneHost } from '../hosts.ts';
import { refuseBesidePatroni } from './patroni.ts';
import { newTablespaceLocation } from './tablespaces.ts';

const MEBIBYTE = 1024n * 1024n;
/** Room that replay itself needs beside the copy: recycled WAL segments, temporary files. */
const REPLAY_HEADROOM_BYTES = 64n * MEBIBYTE;
/** max_wal_size as PostgreSQL has it by default, and what is fetched ahead of replay. */
const MOST_WAL_IN_PLACE_BYTES = (1024n + 256n) * MEBIBYTE;

type Rule = (request: RestoreRequest, world: RestoreWorld) => SpokeError | undefined;

/** Every reason not to start, in the order in which an operator would want to hear of them. */
const RULES: readonly Rule[] = [
  refuseUnsafeDirectory,
  refuseRunningServer,
  (_request, world) => reasonOutOfReach(world),
  refuseWrongCluster,
  refuseMissingPostgres,
  refuseWrongUser,
  refuseTablespaces,
  refuseLackOfSpace,
  ({ destination, cluster: { nodes } }, { destinationNode, patroni }) =>
    destination.kind === 'in-place'
      ? refuseBesidePatroni(
          nodes.find(({ name }) => name === destinationNode),
          patroni,
        )
      : undefined,
];

/** The first reason why this restore must not be started, or undefined where there is none. */
export function reasonToRefuse(request: RestoreRequest, world: RestoreWorld): SpokeError | undefined {
  for (const rule of RULES) {
    const refusal = rule(request, world);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function refuseUnsafeDirectory(_request: RestoreRequest, { destination }: RestoreWorld): SpokeError | undefined {
  const unsafe = (why: string) =>
    new SpokeError('REFUSED_UNSAFE_DIRECTORY', `will not restore into ${destination.path}: ${why}`, {
      details: { dataDirectory: destination.path, realPath: destination.realPath, kind: destination.kind },
    });
  if (destination.forbidden !== undefined) return unsafe(destination.forbidden);
  if (destination.kind === 'not a directory') return unsafe('it is not a directory');
  if (destination.isSymbolicLink)
    return unsafe(
      `it is a symbolic link to ${destination.realPath}${destination.running === undefined ? '' : ', where a server runs'}; name the real path`,
    );
  if (destination.kind === 'other') return unsafe('it is not empty and not a PostgreSQL data directory');
  if (destination.isMountPoint)
    return unsafe('it is a mount point, which cannot be replaced by a rename; choose a directory inside the mounted file system');
  if (!destination.parentWritable) return unsafe('its parent directory cannot be written to by this user');
  return undefined;
}

function refuseRunningServer(request: RestoreRequest, { destination }: RestoreWorld): SpokeError | undefined {
  if (destination.running === undefined || request.destination.kind === 'in-place') return undefined;
  const { evidence, pid } = destination.running;
  return new SpokeError(
    'REFUSED_SERVER_RUNNING',
    `a server runs on ${destination.path} (seen by its ${evidence}${pid === undefined ? '' : `, pid ${pid}`})`,
    { details: { ...destination.running }, hint: 'Choose another --data-directory, or restore that node itself with --in-place.' },
  );
}

function refuseWrongCluster(request: RestoreRequest, { choice, destination }: RestoreWorld): SpokeError | undefined {
  const backup = choice.kind === 'chosen' ? choice.candidates[0]?.backup : undefined;
  const found = destination.control?.systemIdentifier;
  if (backup === undefined || found === undefined || found === backup.systemIdentifier) return undefined;
  return new SpokeError(
    'REFUSED_WRONG_CLUSTER',
    `${destination.path} holds another cluster: its system identifier is ${found}, the backup's is ${backup.systemIdentifier}`,
    { details: { cluster: request.cluster.name, found: String(found), expected: String(backup.systemIdentifier) } },
  );
}

function refuseMissingPostgres(_request: RestoreRequest, { choice, installation }: RestoreWorld): SpokeError | undefined {
  const major = choice.kind === 'chosen' ? choice.candidates[0]?.backup.postgresMajor : undefined;
  if (major === undefined || installation?.major === major) return undefined;
  return new SpokeError('REFUSED_POSTGRES_VERSION', `the backup is of PostgreSQL ${major}, which was not found on this host`, {
    details: { needed: major, found: installation?.version ?? null },
    hint: `Install it (Debian: apt-get install postgresql-${major}), or set postgresqlBinDirectory in the configuration.`,
  });
}

function refuseWrongUser(_request: RestoreRequest, world: RestoreWorld): SpokeError | undefined {
  const owner = ownerOf(world);
  if (owner === undefined)
    return new SpokeError('REFUSED_PRECONDITION', 'a server cannot run as root, and there is no user "postgres" to run it as', {
      hint: 'Name the operating system user with osUser in the configuration.',
    });
  if (world.currentUser.uid === 0 || owner.uid === world.currentUser.uid) return undefined;
  return new SpokeError(
    'REFUSED_PRECONDITION',
    `${world.destination.path} belongs to ${owner.name}, and this is ${world.currentUser.name}`,
    {
      hint: `Run the command as ${owner.name}: sudo -u ${owner.name} spoke-backup …`,
    },
  );
}

/** Who the restored files will belong to: the present owner of the data directory, else whoever runs the other nodes, else the configured user. */
export function ownerOf(world: RestoreWorld): RestoreWorld['currentUser'] | undefined {
  const inPlace = world.nodes.find((one) => one.node.name === world.destinationNode)?.node;
  const beside = world.nodes.filter(({ node, directory }) => directory?.kind === 'postgres' && areOnOneHost(node, inPlace));
  const nodeOwner = beside[0]?.directory?.owner;
  const present = world.destination.kind === 'postgres' ? world.destination.owner : undefined;
  const fallback = world.currentUser.uid === 0 ? (nodeOwner ?? world.osUser) : world.currentUser;
  const owner = present ?? fallback;
  return owner?.uid === 0 ? undefined : owner;
}

function refuseTablespaces(request: RestoreRequest, world: RestoreWorld): SpokeError | undefined {
  const originals = (world.detail?.tablespaces ?? []).map((tablespace) => tablespace.location);
  const unknown = [...request.tablespaceMap.keys()].filter((location) => !originals.includes(location));
  if (unknown.length > 0)
    return new SpokeError(
      'REFUSED_TABLESPACE',
      `the backup has no tablespace at ${unknown.join(', ')}; it has: ${originals.join(', ') || 'none'}`,
    );
  const targets = tablespaceTargets(request, world);
  const shared = targets.find(({ path }, index) => targets.findIndex((other) => other.path === path) !== index);
  if (shared !== undefined) return new SpokeError('REFUSED_TABLESPACE', `two tablespaces would be written into ${shared.path}`);
  const forbidden = targets.find(({ directory }) => directory?.forbidden !== undefined);
  if (forbidden !== undefined)
    return new SpokeError('REFUSED_TABLESPACE', `no tablespace can be written into ${forbidden.path}: ${forbidden.directory?.forbidden}`);
  const inTheWay = targets.filter(({ directory }) => isOccupied(directory));
  if (inTheWay.length === 0) return undefined;
  const maps = inTheWay.map(
    ({ location }) => `--tablespace-map ${location}=${world.destination.path}.tablespaces/${location.split('/').at(-1)}`,
  );
  const places = inTheWay.map(({ path }) => path).join(', ');
  return new SpokeError('REFUSED_TABLESPACE', `the tablespace would be written where files are already: ${places}`, {
    details: { tablespaces: world.detail?.tablespaces ?? [] },
    hint: `Say where each shall go, for example: ${maps.join(' ')}`,
  });
}

/** Where each tablespace of the backup will be written, and what is there. */
function tablespaceTargets(request: RestoreRequest, { detail, tablespaceDirectories }: RestoreWorld) {
  return (detail?.tablespaces ?? []).map(({ location }) => {
    const path = newTablespaceLocation(request, location) ?? location;
    return { location, path, directory: tablespaceDirectories.get(path) };
  });
}

function isOccupied(directory: DirectoryFacts | undefined): boolean {
  return directory !== undefined && directory.kind !== 'absent' && directory.kind !== 'empty';
}

function refuseLackOfSpace(request: RestoreRequest, world: RestoreWorld): SpokeError | undefined {
  const candidate = world.choice.kind === 'chosen' ? world.choice.candidates[0] : undefined;
  if (candidate === undefined) return undefined;
  const walBytes = candidate.walBytes < MOST_WAL_IN_PLACE_BYTES ? candidate.walBytes : MOST_WAL_IN_PLACE_BYTES;
  const { databaseBytes, stagedBytes = 0n } = candidate.backup;
  const neededBytes = databaseBytes + stagedBytes + walBytes + REPLAY_HEADROOM_BYTES;
  const staged = stagedBytes === 0n ? '' : `the backups that it is made of ${formatBytes(stagedBytes)}, `;
  const written = [world.destination, ...tablespaceTargets(request, world).flatMap(({ directory }) => directory ?? [])];
  const freeByFileSystem = new Map(written.map((one) => [one.fileSystem, one.freeBytes]));
  const freeBytes = [...freeByFileSystem.values()].reduce((sum, free) => sum + free, 0n);
  if (freeBytes >= neededBytes) return undefined;
  return new SpokeError(
    'REFUSED_NO_SPACE',
    `${world.destination.path} has ${formatBytes(freeBytes)} free; the restore needs ${formatBytes(neededBytes)} (the database cluster ${formatBytes(databaseBytes)}, ${staged}WAL ${formatBytes(walBytes)}, headroom ${formatBytes(REPLAY_HEADROOM_BYTES)})`,
    { details: { freeBytes: String(freeBytes), neededBytes: String(neededBytes) } },
  );
}
