import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../../..');

/** What a committed file must not say: it would be true on one machine, or on one network, only. */
const localTruths: [what: string, pattern: RegExp][] = [
  ['the host of a package registry', /registry\.npmjs|npmmirror\.|pypi\.org|deb\.debian|archive\.ubuntu|snapshot\.debian/],
  ['where the checkout lies on this machine', new RegExp(`${repository.replaceAll(/[.+]/g, '\\$&')}(?![\\w-])`)],
];

describe('the committed files', () => {
  it.each(localTruths)('do not name %s', (_what, pattern) => {
    const guilty = committedFiles().filter((file) => pattern.test(readFileSync(join(repository, file), 'utf8')));
    expect(guilty).toEqual([]);
  });

  it('lock what package.json asks for', () => {
    for (const folder of ['.', 'tools/node']) {
      const asked = JSON.parse(readFileSync(join(repository, folder, 'package.json'), 'utf8')) as Record<string, unknown>;
      const locked = JSON.parse(readFileSync(join(repository, folder, 'package-lock.json'), 'utf8')) as {
        packages: { '': Record<string, unknown> };
      };
      for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies', 'engines']) {
        expect(locked.packages[''][kind], `${folder} ${kind}`).toEqual(asked[kind]);
      }
    }
  });

  it('pin every package by its checksum, whatever registry it comes from', () => {
    for (const lockfile of ['package-lock.json', 'tools/node/package-lock.json']) {
      const { packages } = JSON.parse(readFileSync(join(repository, lockfile), 'utf8')) as {
        packages: Record<string, { integrity?: string; resolved?: string }>;
      };
      for (const [name, entry] of Object.entries(packages)) {
        if (name === '') continue;
        expect(entry, name).not.toHaveProperty('resolved');
        expect(entry.integrity, name).toMatch(/^sha512-/);
      }
    }
  });
});

/** Also new files that are not committed yet, so that a fault is found before it is one. */
function committedFiles(): string[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const output = execFileSync('git', ['-c', 'safe.directory=*', ...list], { cwd: repository, encoding: 'utf8' });
  return output.split('\0').filter((file) => file !== '' && existsSync(join(repository, file)));
}
