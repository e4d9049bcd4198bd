import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledFile, loadCompiled, runBundle } from '../../../scripts/compiled.ts';

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
    writeFileSync(compiledFile(file), compiled);
    expect(load()).toBe('short');
  });

  it('is not needed', () => {
    expect(load()).toBe('short');
  });

  it.each([
    ['of another bundle', () => compile(), 'a longer answer'],
    ['of something else', () => Buffer.from('no code at all, but long enough to have a header of some kind'), 'short'],
    ['of nothing', () => Buffer.alloc(0), 'short'],
  ])('gives way to the bundle where it is %s', (_what, make, answer) => {
    writeFileSync(compiledFile(file), make());
    write(answer);
    expect(load()).toBe(answer);
  });
});
