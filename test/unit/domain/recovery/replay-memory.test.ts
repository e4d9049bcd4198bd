import { expect, test } from 'vitest';
import { sharedBuffersForReplay } from '../../../../src/domain/recovery/replay-memory.ts';

const GIBIBYTE = 1024 ** 3;

test.each([
  // As much as PostgreSQL takes by default (guc_tables.c: 128 MB).
  { available: 0.25 * GIBIBYTE, expected: '128MB' },
  { available: 4 * GIBIBYTE, expected: '512MB' },
  { available: 256 * GIBIBYTE, expected: '1024MB' },
])('replay gets an eighth of $available bytes, between what PostgreSQL takes by default and 1 GB', ({ available, expected }) => {
  expect(sharedBuffersForReplay(available)).toBe(expected);
});
