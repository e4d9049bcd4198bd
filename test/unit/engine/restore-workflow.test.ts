import { describe, expect, it } from 'vitest';
import { otherCandidate } from '../../../src/engine/restore-workflow.ts';
import { ERROR_KINDS, type ErrorCode, SpokeError } from '../../../src/errors.ts';
import type { RestoreFacts } from '../../../src/workflows/restore/facts.ts';
import type { PinnedCandidate, RestoreIntent } from '../../../src/workflows/restore/intent.ts';

const candidates = [
  ['local', 'newer'],
  ['s3', 'newer'],
  ['local', 'older'],
].map(([repository, label]) => ({ repository, label }) as unknown as PinnedCandidate);

function given(up: ErrorCode, failed: readonly PinnedCandidate[] = [], target = 'time', details = {}) {
  const notes = otherCandidate(
    { candidates, target: { kind: target } } as unknown as RestoreIntent,
    { failed } as unknown as RestoreFacts,
    new SpokeError(up, 'why', { details }),
  );
  return notes?.map(({ detail }) => {
    const { repository, label } = detail;
    return `${repository} ${label}`;
  });
}

describe('a restore whose backup fails', () => {
  it('gives up that backup alone where it is the backup that is at fault', () => {
    expect(given('BACKUP_DAMAGED')).toEqual(['local newer']);
    expect(given('TARGET_NOT_FOUND')).toEqual(['local newer']);
    expect(given('NO_BACKUP')).toEqual(['local newer']);
    expect(given('TARGET_BEFORE_WINDOW')).toEqual(['local newer']);
  });

  it('gives up all of a repository where that is at fault', () => {
    for (const code of ['REPOSITORY_UNAVAILABLE', 'REPOSITORY_DENIED', 'TARGET_AFTER_WINDOW', 'TARGET_IN_GAP'] as const)
      expect(given(code)).toEqual(['local newer', 'local older']);
  });

  it('gives up that backup alone where WAL is missing that an older one may not need', () => {
    const inReplay = { serverLog: 'FATAL:  recovery ended before configured recovery target was reached' };
    for (const target of ['xid', 'name', 'immediate']) {
      expect(given('REPOSITORY_UNAVAILABLE', [], target, inReplay), target).toEqual(['local newer']);
      expect(given('REPOSITORY_UNAVAILABLE', [], target), target).toEqual(['local newer', 'local older']);
    }
    for (const target of ['time', 'lsn', 'latest'])
      expect(given('REPOSITORY_UNAVAILABLE', [], target, inReplay), target).toEqual(['local newer', 'local older']);
  });

  it('goes on with the next that has not failed', () => {
    expect(given('BACKUP_DAMAGED', candidates.slice(0, 1))).toEqual(['s3 newer']);
  });

  it('gives up nothing more where none is left', () => {
    expect(given('BACKUP_DAMAGED', candidates.slice(0, 2))).toBeUndefined();
    expect(given('REPOSITORY_UNAVAILABLE', [...candidates.slice(1, 2)])).toBeUndefined();
  });

  it('looks for no other where another would fare no better', () => {
    const hopeless = (Object.keys(ERROR_KINDS) as ErrorCode[]).filter((code) => ERROR_KINDS[code].retry !== 'alternative');
    for (const code of hopeless) expect(given(code), code).toBeUndefined();
  });
});
