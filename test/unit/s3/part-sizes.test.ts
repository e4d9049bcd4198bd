import { describe, expect, it } from 'vitest';
import { partBytesOf, PARTS_AT_MOST, partsUnderWay } from '../../../src/adapters/s3/part-sizes.ts';

const MIB = 1024 * 1024;
const numbers = Array.from({ length: PARTS_AT_MOST }, (_, index) => index + 1);

// Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html (10,000 parts of 5 MiB to 5 GiB; objects were 5 TiB at most).
describe('growing parts', () => {
  it('hold the longest object of S3 in the parts that it allows', () => {
    const total = numbers.reduce((sum, number) => sum + partBytesOf(number, 'growing'), 0);
    expect(total).toBeGreaterThanOrEqual(5 * 1024 * 1024 * MIB);
  });

  it('are each as long as S3 allows, and never shorter than the one before', () => {
    for (const number of numbers) {
      expect(partBytesOf(number, 'growing')).toBeGreaterThanOrEqual(5 * MIB);
      expect(partBytesOf(number, 'growing')).toBeLessThanOrEqual(5 * 1024 * MIB);
      expect(partBytesOf(number, 'growing')).toBeGreaterThanOrEqual(partBytesOf(Math.max(number - 1, 1), 'growing'));
    }
  });

  it('hold what is under way below 32 MiB, or at one part', () => {
    for (const number of numbers) {
      const bytes = partBytesOf(number, 'growing');
      expect(partsUnderWay(bytes)).toBeGreaterThanOrEqual(1);
      expect(partsUnderWay(bytes) * bytes).toBeLessThanOrEqual(Math.max(32 * MIB, bytes));
    }
  });

  it('of one size are all of that size', () => {
    for (const number of [1, 701, PARTS_AT_MOST]) expect(partBytesOf(number, 5 * MIB)).toBe(5 * MIB);
  });
});
