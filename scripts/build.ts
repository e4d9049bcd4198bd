import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** Packages in CommonJS ask for Node's modules with `require`, which a module has to make for itself. */
const REQUIRE_BANNER =
  "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);";

/** The same library as modules: of the CommonJS one nothing could be left out. */
const ALIASES: Readonly<Record<string, string>> = { yaml: join(import.meta.dirname, '../node_modules/yaml/browser/dist/index.js') };

/**
 * `await import('pino')` of a package in CommonJS gives all its names under Node, but only `default` in a bundle, and
 * nothing says so before it is undefined. So Node is asked for the names now, and they are exported one by one.
 */
const lazyPackages: Plugin = {
  name: 'lazy-packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import' || path.startsWith('node:') || resolveDir.includes('node_modules')) return undefined;
      return { path, namespace: 'lazy', pluginData: resolveDir };
    });
    onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path, pluginData }) => {
      const exported = (await import(ALIASES[path] ?? path)) as object;
      const names = Object.keys(exported).filter((name) => name !== 'module.exports');
      return { contents: `export { ${names.join(', ')} } from '${path}';`, resolveDir: String(pluginData) };
    });
  },
};

/**
 * Bundles the program that starts in `entry` into `outDirectory`/main.js. What is imported lazily stays in files of its
 * own, so that a short command does not pay for it. The old build stays until the new one is whole.
 */
export async function buildProgram(entry: string, outDirectory: string): Promise<void> {
  const fresh = `${outDirectory}.new-${process.pid}`;
  const old = `${outDirectory}.old-${process.pid}`;
  try {
    await build({
      entryPoints: { main: entry },
      outdir: fresh,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      chunkNames: 'chunks/[name]-[hash]',
      banner: { js: REQUIRE_BANNER },
      // A native driver that pg would use if somebody installed it.
      external: ['pg-native'],
      alias: ALIASES,
      plugins: [lazyPackages],
      legalComments: 'linked',
      logLevel: 'warning',
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
  await buildProgram(join(root, 'src/main.ts'), join(root, 'dist'));
}
