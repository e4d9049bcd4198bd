import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

/** The same library as modules: of the CommonJS one nothing could be left out. */
const ALIASES: Readonly<Record<string, string>> = { yaml: join(import.meta.dirname, '../node_modules/yaml/browser/dist/index.js') };

/** Large packages that few commands need: each in a file of its own, read when it is asked for. */
const LAZY_PACKAGES = ['pg', 'pino', 'nodemailer', '@aws-sdk/client-s3', 'node-cron'] as const;

const vendorFile = (name: string) => `vendor/${name.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}.cjs`;

/**
 * `await import('pino')` of a package in CommonJS gives all its names under Node, but only `default` in a bundle, and
 * nothing says so before it is undefined. So Node is asked for the names now, and they are exported one by one.
 */
async function vendorSource(name: string): Promise<string> {
  const names = Object.keys((await import(name)) as object).filter((exported) => exported !== 'module.exports');
  return `export { ${names.join(', ')} } from '${name}';`;
}

/** Hands `await import('pg')` to its file. */
const lazyPackages: Plugin = {
  name: 'lazy-packages',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind, resolveDir }) => {
      const isOurs = kind === 'dynamic-import' && !resolveDir.includes('node_modules');
      return isOurs && LAZY_PACKAGES.includes(path as never) ? { path: `./${vendorFile(path)}`, external: true } : undefined;
    });
  },
};

/**
 * Node's own modules when something of them is first used: imported at the top of a bundle, all of them would be loaded by
 * every command, and some take longer than the command. An import becomes an object whose prototype is looked up in (that is
 * what esbuild's __toESM passes on), and the prototype loads the module.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `const get = (_, name) => (name === '__esModule' ? undefined : process.getBuiltinModule('${path}')[name]);
        module.exports = Object.create(new Proxy({}, { get }));`,
    }));
  },
};

/** What main.cjs starts beside --version, by the file that it is bundled of. */
const BUNDLES = { 'run-cli': 'cli', 'run-backups': 'backups' } as const;

/** The command line is a bundle of its own, so that --version, which needs none of it, reads none of it; it comes compiled. */
const separateCli: Plugin = {
  name: 'separate-cli',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/cli\/run-(?:cli|backups)\.ts$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: BUNDLES[basename(path, '.ts') as keyof typeof BUNDLES], namespace: 'compiled' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'compiled' }, ({ path }) => ({
      contents: `module.exports = require('./compiled.ts').loadCompiled(__dirname + '/${path}.cjs', require);`,
      resolveDir: import.meta.dirname,
    }));
  },
};

/** Below src: each makes something that changes the world, or looks at what `backups` does not look at. */
const UNUSED_BY_BACKUPS: ReadonlySet<string> = new Set([
  'engine/handlers/index.ts',
  'composition-leases.ts',
  'composition-secrets.ts',
  'composition-streaming.ts',
  'adapters/endpoints/endpoints.ts',
  'adapters/fence/fence.ts',
  'adapters/instance/control.ts',
  'adapters/instance/service-control.ts',
  'adapters/instance/standby-seeding.ts',
  'adapters/machine/machine.ts',
  'adapters/native/backup/backups.ts',
  'adapters/native/catalog/expiry.ts',
  'adapters/native/catalog/verify.ts',
  'adapters/native/restore/restore.ts',
  'adapters/native/wal/archiving.ts',
  'adapters/postgres/pgbouncer-console.ts',
  'adapters/postgres/scram.ts',
  'adapters/postgres/server-setup.ts',
  'adapters/postgres/writer.ts',
  'adapters/state/pin-store.ts',
  'adapters/state/run-processes.ts',
  'adapters/state/run-store.ts',
]);

/**
 * Leaves every other command out of the bundle of `backups`, and what they alone use: how much there is to be loaded is most of the time that
 * it takes. Also what the configuration's keys are for: only `config schema` says that.
 */
const onlyBackups: Plugin = {
  name: 'only-backups',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
      const file = relative(join(import.meta.dirname, '../src'), join(resolveDir, path));
      return UNUSED_BY_BACKUPS.has(file) ? { path: file, namespace: 'unused' } : undefined;
    });
    // Each of its functions makes an object without anything in it.
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({
      contents: `const get = (_, name) => (name === '__esModule' ? undefined : () => ({}));
        module.exports = Object.create(new Proxy({}, { get }));`,
    }));
    onResolve({ filter: /^\.\/commands\// }, ({ path, kind }) =>
      kind === 'dynamic-import' && path !== './commands/backups.ts' ? { path, namespace: 'left-out' } : undefined,
    );
    onResolve({ filter: /^\.\/described\.ts$/ }, ({ path }) => ({ path, namespace: 'undescribed' }));
    onLoad({ filter: /.*/, namespace: 'undescribed' }, () => ({ contents: 'export const key = (_, schema) => schema;' }));
    onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({ contents: `throw new Error('${path} is not in this bundle');` }));
  },
};

const COMMON: BuildOptions = {
  bundle: true,
  // CommonJS, all of it: Node's loader of modules alone takes as long as main.cjs.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  supported: { 'dynamic-import': false },
  define: { 'import.meta.dirname': '__dirname' },
  platform: 'node',
  target: 'node24',
  // Half the text to read; names and short lines stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  // A native driver that pg would use if somebody installed it.
  external: ['pg-native'],
  legalComments: 'linked',
  logLevel: 'warning',
};

/**
 * Bundles the program that starts in `entry` into `outDirectory`: main.cjs, cli.cjs, backups.cjs and the large packages that are read when
 * they are needed. One file for all of the command line, because finding and linking forty took longer than running one.
 * The old build stays until the new one is whole.
 */
export async function buildProgram(entry: string, outDirectory: string): Promise<void> {
  const fresh = `${outDirectory}.new-${process.pid}`;
  const old = `${outDirectory}.old-${process.pid}`;
  try {
    await build({ ...COMMON, entryPoints: { main: entry }, outdir: fresh, plugins: [separateCli, lazyPackages] });
    for (const [file, name] of Object.entries(BUNDLES))
      await build({
        ...COMMON,
        entryPoints: { [name]: join(dirname(entry), `cli/${file}.ts`) },
        outdir: fresh,
        alias: ALIASES,
        plugins: [...(name === 'backups' ? [onlyBackups] : []), lazyPackages, lazyBuiltins],
      });
    for (const name of LAZY_PACKAGES)
      await build({
        ...COMMON,
        stdin: { contents: await vendorSource(name), resolveDir: import.meta.dirname },
        // Some ask where they are, as modules do.
        define: { ...COMMON.define, 'import.meta.url': 'urlOfThisFile' },
        banner: { js: "const urlOfThisFile = require('node:url').pathToFileURL(__filename).href;" },
        outfile: join(fresh, vendorFile(name)),
      });
    mkdirSync(outDirectory, { recursive: true });
    renameSync(outDirectory, old);
    renameSync(fresh, outDirectory);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const dist = join(root, 'dist');
  await buildProgram(join(root, 'src/main.ts'), dist);
  // In a process of its own: what it prints is nobody's.
  execFileSync(process.execPath, [join(import.meta.dirname, 'compile-ahead.ts'), dist], { stdio: ['ignore', 'ignore', 'inherit'] });
}
