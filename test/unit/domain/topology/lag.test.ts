import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addMicros } from '../../../../src/domain/time/instant.ts';
import { lagOf } from '../../../../src/domain/topology/lag.ts';
import { lsn, MIB, NOON, replication } from './facts.ts';

const ago = (seconds: number) => addMicros(NOON, BigInt(-seconds * 1_000_000));

describe('the lag of a standby', () => {
  it('is none on an idle primary, however long ago the last commit was', () => {
    const standby = replication({ receivedLsn: lsn(5n * MIB), replayedLsn: lsn(5n * MIB), replayedCommitTime: ago(86_400) });
    expect(lagOf({ at: NOON, lsn: lsn(5n * MIB) }, standby)).toEqual({ bytes: 0n, receiveBytes: 0n, replayBytes: 0n, seconds: 0 });
  });

  it('is what was not received and what was not replayed', () => {
    const standby = replication({ receivedLsn: lsn(7n * MIB), replayedLsn: lsn(4n * MIB), replayedCommitTime: ago(30) });
    expect(lagOf({ at: NOON, lsn: lsn(9n * MIB) }, standby)).toEqual({
      bytes: 5n * MIB,
      receiveBytes: 2n * MIB,
      replayBytes: 3n * MIB,
      seconds: 30,
    });
  });

  it('is no older than the last look that found the primary where the standby is', () => {
    const standby = replication({ receivedLsn: lsn(4n * MIB), replayedLsn: lsn(4n * MIB), replayedCommitTime: ago(3600) });
    const looks = [
      { at: ago(40), lsn: lsn(4n * MIB) },
      { at: ago(10), lsn: lsn(5n * MIB) },
    ];
    expect(lagOf({ at: NOON, lsn: lsn(6n * MIB) }, standby, looks)?.seconds).toBe(40);
  });

  it('has no age where nothing tells one', () => {
    const lag = lagOf({ at: NOON, lsn: lsn(2n) }, replication({ replayedLsn: lsn(1n) }));
    expect(lag).toEqual({ bytes: 1n, receiveBytes: 1n, replayBytes: 0n });
  });

  it('is of the archive, too: what was replayed had been received', () => {
    const standby = replication({ receivedLsn: lsn(1n * MIB), replayedLsn: lsn(3n * MIB) });
    expect(lagOf({ at: NOON, lsn: lsn(3n * MIB) }, standby)).toMatchObject({ bytes: 0n, receiveBytes: 0n });
  });

  it('has parts that add up, is never negative, and 0 seconds exactly where no byte is missing', () => {
    const position = fc.bigInt({ min: 0n, max: 100n });
    fc.assert(
      fc.property(position, fc.option(position, { nil: undefined }), position, fc.nat(1000), (flushed, received, replayed, age) => {
        const facts = { replayedLsn: lsn(replayed), replayedCommitTime: ago(age + 1) };
        const lag = lagOf(
          { at: NOON, lsn: lsn(flushed) },
          replication(received === undefined ? facts : { ...facts, receivedLsn: lsn(received) }),
        );
        if (lag === undefined) throw new Error('there is a lag where there is a position');
        expect(lag.receiveBytes + lag.replayBytes).toBe(lag.bytes);
        expect(lag.receiveBytes >= 0n && lag.replayBytes >= 0n).toBe(true);
        expect(lag.seconds === 0).toBe(flushed <= replayed);
      }),
    );
  });
});
