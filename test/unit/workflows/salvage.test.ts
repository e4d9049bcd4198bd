import { describe, expect, it } from 'vitest';
import { filesToSalvage } from '../../../src/workflows/restore/salvage.ts';

const segment = (number: number, timeline = 1) =>
  `${timeline.toString(16).padStart(8, '0')}00000000${number.toString(16).toUpperCase().padStart(8, '0')}`;

describe('what is taken from the pg_wal of a stopped server', () => {
  it('is every segment from the last archived one on, the one that was being written included, and every history', () => {
    const files = [segment(3), segment(4), segment(5), '00000002.history', 'archive_status', `${segment(4)}.00000028.backup`];
    expect(filesToSalvage(files, segment(4))).toEqual([segment(4), segment(5), '00000002.history']);
    expect(filesToSalvage(files, null)).toEqual([segment(3), segment(4), segment(5), '00000002.history']);
  });

  it('is whatever the server still had to archive, with the notes that say so, which come last', () => {
    const waiting = [segment(3), `${segment(4)}.00000028.backup`, segment(6)];
    const files = [...waiting, segment(7), ...waiting.map((name) => `archive_status/${name}.ready`), `archive_status/${segment(2)}.done`];
    expect(filesToSalvage(files, segment(5))).toEqual([
      ...[...waiting, segment(7)].sort(),
      ...waiting.map((name) => `archive_status/${name}.ready`).sort(),
    ]);
  });

  it('leaves out a note whose file is gone', () => {
    expect(filesToSalvage([`archive_status/${segment(3)}.ready`], null)).toEqual([]);
  });
});
