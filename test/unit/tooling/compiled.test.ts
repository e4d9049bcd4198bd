import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledFile, doubled, loadCompiled, runBundle } from '../../../scripts/compiled.ts';

describe('the compiled code of a bundle', () => {
  let directory = '';
  let file = '';
  const write = (answer: string) => writeFileSync(file, `exports.answer = function () { return '${answer}'; };`);
  const load = () => (loadCompiled(file, createRequire(file)) as { answer(): string }).answer();
  const compile = () => {
    const { exports, script } = runBundle(file, createRequire(file), undefined);
    (exports as { answer(): string }).answer();
    return script.createCachedData();
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'compiled-'));
    file = join(directory, 'bundle.cjs');
    write('short');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is taken for the bundle that it was made of', () => {
    const compiled = compile();
    expect(runBundle(file, createRequire(file), compiled).script.cachedDataRejected).toBe(false);
    writeFileSync(compiledFile(file), doubled(compiled));
    expect(load()).toBe('short');
  });

  it('is not needed', () => {
    expect(load()).toBe('short');
  });

  it.each([
    ['of another bundle', () => doubled(compile()), 'a longer answer'],
    ['there once', () => compile(), 'short'],
    ['cut short', () => doubled(compile()).subarray(0, -1), 'short'],
    ['of three bytes', () => Buffer.alloc(3), 'short'],
    ['of something else', () => Buffer.from('no code at all, but long enough to have a header of some kind'), 'short'],
    ['of nothing', () => Buffer.alloc(0), 'short'],
  ])('gives way to the bundle where it is %s', (_what, make, answer) => {
    writeFileSync(compiledFile(file), make());
    write(answer);
    expect(load()).toBe(answer);
  });

  it('gives way to the bundle wherever one bit of it is another', () => {
    const kept = doubled(compile());
    for (let at = 0; at < kept.length; at++) {
      const damaged = Buffer.from(kept);
      damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (at % 8)), at);
      writeFileSync(compiledFile(file), damaged);
      expect(load(), `byte ${at}`).toBe('short');
    }
  });
});
