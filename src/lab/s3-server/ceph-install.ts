import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { asSpokeError, SpokeError } from '../../errors.ts';
import { environmentOf, runTool, throwIfCancelled, type Environment, type LabContext } from '../context.ts';
import { describePackages, downloadPackages, openApt, resolveClosure, type PackageFacts } from './apt.ts';
import { debianKeyring, debianMirrors } from './debian-mirror.ts';

/** Ceph unpacked into a folder, with every library that it needs: nothing of it is installed on the machine. */
export interface CephInstall {
  readonly root: string;
  readonly suite: string;
  readonly version: string;
  /** usr/lib/<architecture> below root. */
  readonly libraryDirectory: string;
  /** The unpacked dynamic loader: Ceph runs with its own C library. */
  readonly loader: string;
}

/** sid's Ceph does every conditional write; that of trixie answers If-Match wrongly. */
const SUITES = ['sid', 'trixie'] as const;

/** Whose programs we run. Of what they depend on only libraries are taken: no Python, no systemd. */
const PROGRAM_PACKAGES = ['ceph-base', 'ceph-common', 'ceph-mon', 'ceph-osd', 'radosgw'];
const LIBRARY_SECTIONS = new Set(['libs', 'oldlibs']);

const CEPH_PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'monmaptool', 'osdmaptool', 'ceph-authtool'] as const;
export type CephProgram = (typeof CEPH_PROGRAMS)[number];

/** The argv that runs one of its programs. */
export function cephCommand(install: CephInstall, program: CephProgram): { readonly file: string; readonly argv: readonly string[] } {
  const libraries = `${install.libraryDirectory}:${join(install.libraryDirectory, 'ceph')}`;
  return { file: install.loader, argv: ['--library-path', libraries, join(install.root, 'usr/bin', program)] };
}

/** ${XDG_CACHE_HOME:-~/.cache}/spoke-backup/s3-server */
function s3ServerCache(environment: Environment): string {
  const base = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache');
  return join(base, 'spoke-backup', 's3-server');
}

/** Takes Ceph from the cache, or else fetches it (about 125 MB) with this machine's apt. Needs no root. Throws TOOL_MISSING where it cannot be had. */
export async function ensureCeph(context: LabContext): Promise<CephInstall> {
  const cache = s3ServerCache(environmentOf(context));
  for (const suite of SUITES) {
    const install = await openInstall(join(cache, `ceph-${suite}-${process.arch}`));
    if (install !== undefined) return install;
  }
  return fetchCeph(cache, context);
}

/** Fetches and unpacks Ceph into `cache`. */
async function fetchCeph(cache: string, context: LabContext): Promise<CephInstall> {
  const failures: string[] = [];
  try {
    const keyring = await debianKeyring();
    for (const suite of SUITES) {
      for (const mirror of await debianMirrors(context)) {
        const attempt = await tryFetch(cache, { mirror, suite, keyring }, context);
        if (attempt.install !== undefined) {
          if (suite !== SUITES[0])
            context.report(`S3 server: Debian ${SUITES[0]} could not be used, took ${suite}'s Ceph, whose If-Match is broken`);
          return attempt.install;
        }
        failures.push(`${suite}: ${attempt.reason}`);
      }
    }
  } catch (thrown) {
    throwIfCancelled(context.signal);
    const error = asSpokeError(thrown);
    failures.push(`${error.message} ${error.hint}`);
  }
  throw new SpokeError('TOOL_MISSING', `The lab's S3 server could not be fetched with apt:\n${failures.join('\n')}`, {
    hint: 'Name an S3 server with SPOKE_LAB_S3_ENDPOINT, _BUCKET, _ACCESS_KEY, _SECRET_KEY (_REGION, _CA_FILE), or: spoke-backup lab up --no-s3',
  });
}

const WORK_PREFIX = '.fetch-';

type Source = Parameters<typeof openApt>[1];

async function tryFetch(cache: string, source: Source, context: LabContext): Promise<{ install?: CephInstall; reason?: string }> {
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const work = await mkdtemp(join(cache, WORK_PREFIX));
  try {
    return { install: await fetchInto(work, cache, source, context) };
  } catch (thrown) {
    throwIfCancelled(context.signal);
    return { reason: asSpokeError(thrown).message };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const ABANDONED_AFTER_MS = 3_600_000;

/** What a fetch that was killed left behind. */
async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (name.startsWith(WORK_PREFIX) && Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function fetchInto(work: string, cache: string, source: Source, context: LabContext): Promise<CephInstall> {
  context.report(`S3 server: reading the package list of Debian ${source.suite}`);
  const apt = await openApt(join(work, 'apt'), source, context);
  const closure = await describePackages(apt, await resolveClosure(apt, PROGRAM_PACKAGES, context), context);
  const packages = closure.filter(
    (each) => PROGRAM_PACKAGES.includes(each.name) || LIBRARY_SECTIONS.has(each.section.replace(/^.*\//, '')),
  );
  context.report(`S3 server: downloading Ceph and its libraries, ${packages.length} packages`);
  const debs = join(work, 'debs');
  await downloadPackages(
    apt,
    packages.map((each) => each.name),
    debs,
    context,
  );
  context.report('S3 server: unpacking');
  const tree = join(work, 'tree');
  await unpack(debs, tree, context);
  await writeFile(join(tree, 'manifest.json'), `${JSON.stringify(manifest(source.suite, packages), undefined, 1)}\n`);
  const fetched = await openInstall(tree);
  if (fetched === undefined) throw new SpokeError('TOOL_FAILED', `Debian ${source.suite}'s packages of Ceph lack a file that is needed.`);
  await proveComplete(fetched, context);
  return publish(tree, join(cache, `ceph-${source.suite}-${process.arch}`));
}

interface Manifest {
  readonly schema: 1;
  readonly suite: string;
  readonly version: string;
  readonly packages: readonly string[];
}

function manifest(suite: string, packages: readonly PackageFacts[]): Manifest {
  return {
    schema: 1,
    suite,
    version: packages.find((each) => each.name === 'radosgw')?.version ?? '',
    packages: packages.map((each) => `${each.name}=${each.version}`).sort(),
  };
}

async function unpack(debs: string, tree: string, context: LabContext): Promise<void> {
  await mkdir(tree);
  // Another user than the one who fetched may run it.
  await chmod(tree, 0o755);
  for (const name of await readdir(debs)) {
    await runTool(context, { file: 'dpkg-deb', argv: ['--extract', join(debs, name), tree] });
  }
  for (const needless of ['usr/share', 'usr/sbin', 'etc', 'var']) await rm(join(tree, needless), { recursive: true, force: true });
  const programs = join(tree, 'usr/bin');
  for (const name of await readdir(programs)) {
    if (!CEPH_PROGRAMS.some((program) => program === name)) await rm(join(programs, name), { force: true });
  }
}

/** Asks the loader itself whether every library is there, so that a package that was left out is noticed now. */
async function proveComplete(install: CephInstall, context: LabContext): Promise<void> {
  for (const program of CEPH_PROGRAMS) {
    const { file, argv } = cephCommand(install, program);
    const { stdout } = await runTool(context, { file, argv: ['--list', ...argv] });
    const missing = stdout.split('\n').filter((line) => line.includes('not found'));
    if (missing.length > 0)
      throw new SpokeError('TOOL_FAILED', `${program} lacks libraries: ${missing.map((line) => line.trim()).join(', ')}`);
  }
}

/** Puts the tree under its final name in one step. Where another process was faster, its tree is used. */
async function publish(tree: string, final: string): Promise<CephInstall> {
  await rename(tree, final).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== 'ENOTEMPTY' && thrown.code !== 'EEXIST') throw thrown;
  });
  const install = await openInstall(final);
  if (install === undefined) throw new SpokeError('INTERNAL', `${final} holds no usable Ceph. Remove that folder and try again.`);
  return install;
}

async function openInstall(root: string): Promise<CephInstall | undefined> {
  const text = await readFile(join(root, 'manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { suite, version } = JSON.parse(text) as Manifest;
  for (const directory of await readdir(join(root, 'usr/lib'))) {
    if (!directory.includes('-linux-gnu')) continue;
    const libraryDirectory = join(root, 'usr/lib', directory);
    const loader = (await readdir(libraryDirectory)).find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
    if (loader !== undefined) return { root, suite, version, libraryDirectory, loader: join(libraryDirectory, loader) };
  }
  return undefined;
}
