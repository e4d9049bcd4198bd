import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { asSpokeError, ERROR_KINDS, type ErrorCode, SpokeError } from '../../src/errors.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')).trim(), section] as const),
);
const codes = Object.keys(ERROR_KINDS) as ErrorCode[];

/** The exit codes that the documentation promises. */
const PROMISED = [1, 2, 10, 11, 12, 13, 14, 20, 21, 22, 23, 30, 130, 143];

describe('the error registry', () => {
  it('has a section in docs/errors.md for every code, and no section for anything else', () => {
    expect([...sections.keys()].sort()).toEqual([...codes].sort());
  });

  it.each(codes)('documents the exit code and the retry class of %s', (code) => {
    const { exitCode, retry } = ERROR_KINDS[code];
    expect(sections.get(code)).toContain(`Exit code ${exitCode}, retry: ${retry}.`);
  });

  it('uses only exit codes that are documented', () => {
    expect(codes.filter((code) => !PROMISED.includes(ERROR_KINDS[code].exitCode))).toEqual([]);
  });

  it('gives every error a next step', () => {
    expect(codes.filter((code) => ERROR_KINDS[code].hint.length < 10)).toEqual([]);
  });
});

describe('an error that was not thrown on purpose', () => {
  it('becomes INTERNAL and keeps its cause', () => {
    const cause = new TypeError('x is not a function');
    const error = asSpokeError(cause);
    expect(error).toMatchObject({ code: 'INTERNAL', exitCode: 1, cause });
  });

  it('stays what it is where it is ours already', () => {
    const error = new SpokeError('LOCKED', 'held');
    expect(asSpokeError(error)).toBe(error);
  });
});
