/** What is asked to decide whether a directory may ever be a target. All paths absolute, symbolic links resolved. */
export interface ForbiddenFacts {
  readonly homes: readonly string[];
  /** Files of the running program: its interpreter, its script, its working directory. */
  readonly programPaths: readonly string[];
  /** The nearest data directory that the path lies in, itself excluded. */
  readonly enclosingDataDirectory?: string;
}

/** Directories of the system. What lies below them may still be a target. */
const SYSTEM_DIRECTORIES = [
  '/',
  '/bin',
  '/boot',
  '/dev',
  '/dev/shm',
  '/etc',
  '/home',
  '/lib',
  '/lib32',
  '/lib64',
  '/lost+found',
  '/media',
  '/mnt',
  '/nix',
  '/opt',
  '/proc',
  '/root',
  '/run',
  '/sbin',
  '/snap',
  '/srv',
  '/sys',
  '/tmp',
  '/usr',
  '/usr/local',
  '/var',
  '/var/cache',
  '/var/lib',
  '/var/local',
  '/var/log',
  '/var/mail',
  '/var/opt',
  '/var/run',
  '/var/spool',
  '/var/tmp',
  '/Applications',
  '/Library',
  '/System',
  '/Users',
  '/Volumes',
  '/private',
  '/private/etc',
  '/private/tmp',
  '/private/var',
];

/** Directories that belong to the system with everything below, except what lies in one of the exceptions. */
const SYSTEM_TREES = [
  { root: '/bin', except: [] },
  { root: '/boot', except: [] },
  { root: '/dev', except: ['/dev/shm'] },
  { root: '/etc', except: [] },
  { root: '/lib', except: [] },
  { root: '/lib32', except: [] },
  { root: '/lib64', except: [] },
  { root: '/proc', except: [] },
  { root: '/sbin', except: [] },
  { root: '/sys', except: [] },
  { root: '/usr', except: ['/usr/local'] },
  { root: '/System', except: [] },
];

/** Parents of home directories, also of users that no passwd file names. */
const HOME_PARENTS = ['/home', '/Users'];

/** Why a directory may never be a target, whatever its content; undefined where it may. */
export function whyForbidden(path: string, facts: ForbiddenFacts): string | undefined {
  if (SYSTEM_DIRECTORIES.includes(path)) return `${path} is a directory of the operating system`;
  const tree = SYSTEM_TREES.find(({ root, except }) => isInside(path, root) && !except.some((exception) => isInside(path, exception)));
  if (tree !== undefined) return `${path} lies in ${tree.root}, which belongs to the operating system`;
  if (facts.homes.includes(path) || HOME_PARENTS.some((parent) => isChild(path, parent))) return `${path} is a home directory`;
  const home = facts.homes.find((candidate) => isInside(candidate, path));
  if (home !== undefined) return `${path} contains the home directory ${home}`;
  const program = facts.programPaths.find((candidate) => candidate === path || isInside(candidate, path));
  if (program !== undefined) return `${path} contains this program (${program})`;
  if (facts.enclosingDataDirectory !== undefined) return `${path} lies in the data directory ${facts.enclosingDataDirectory}`;
  return undefined;
}

/** True where `path` lies below `root`; not for `root` itself. */
export function isInside(path: string, root: string): boolean {
  return path !== root && path.startsWith(root === '/' ? '/' : `${root}/`);
}

function isChild(path: string, parent: string): boolean {
  return isInside(path, parent) && !path.slice(parent.length + 1).includes('/');
}
