// Loads a bundle together with its compiled code. Part of main.cjs, and used by the build, which makes the compiled code.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

interface Loaded {
  readonly exports: unknown;
  /** Knows, once the bundle was used, which of its functions are. */
  readonly script: Script;
}

type Wrapper = (exports: unknown, require: NodeJS.Require, module: { exports: unknown }, filename: string, directory: string) => void;

/** Where the compiled code of a bundle is: only the Node that made it can read it. */
export function compiledFile(file: string): string {
  return `${file}.${process.version}-${process.arch}`;
}

/**
 * Compiled code as it is kept: twice. V8 does not look whether it is damaged, and dies of it where it is. Comparing takes a tenth of
 * a millisecond; loading what computes checksums would take eight tenths.
 */
export function doubled(compiled: Buffer): Buffer {
  return Buffer.concat([compiled, compiled]);
}

/** What `doubled` was given; undefined where one half is not as the other. */
function undamaged(kept: Buffer): Buffer | undefined {
  const half = kept.length / 2;
  const compiled = kept.subarray(0, half);
  return compiled.equals(kept.subarray(half)) ? compiled : undefined;
}

/** Runs a bundle. Where V8 does not take `compiled` for its own and for that of this source, it compiles the source. */
export function runBundle(file: string, require: NodeJS.Require, compiled: Buffer | undefined): Loaded {
  // esbuild writes ASCII, which is read faster than UTF-8.
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`;
  const script = new Script(source, { filename: file, ...(compiled === undefined ? {} : { cachedData: compiled }) });
  const module: { exports: unknown } = { exports: {} };
  (script.runInThisContext() as Wrapper)(module.exports, require, module, file, dirname(file));
  return { exports: module.exports, script };
}

/** The exports of a bundle. Without compiled code for this Node it is loaded as usual, which Node's own cache makes faster. */
export function loadCompiled(file: string, require: NodeJS.Require): unknown {
  let kept: Buffer;
  try {
    kept = readFileSync(compiledFile(file));
  } catch {
    return require(file);
  }
  const compiled = undamaged(kept);
  return compiled === undefined ? require(file) : runBundle(file, require, compiled).exports;
}
