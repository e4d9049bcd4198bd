import fc from 'fast-check';
import { expect, it } from 'vitest';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { LOCAL, S3, segments } from '../recovery/world.ts';
import { closedBut, facts, primary, repository, states, unreadable, wal } from './facts.ts';

/** Any of the segments 3 to 19, which the newest backup (from segment 2) needs, and which the primary has closed. */
const some = fc.uniqueArray(fc.integer({ min: 3, max: 19 }));

/** A repository that lacks some segments, of which some wait, and an archiver that came as far as some segment. */
const world = fc.record({ missing: some, waits: some, archived: fc.integer({ min: 2, max: 19 }) });

const given = ({ missing, waits, archived }: { missing: readonly number[]; waits: readonly number[]; archived: number }) =>
  facts({ primary: primary({ waits: waits.toSorted((a, b) => a - b), archived }), snapshots: [repository(LOCAL, closedBut(...missing))] });

it('a gap is told exactly where something is missing that was acknowledged and does not wait', () => {
  fc.assert(
    fc.property(world, (one) => {
      const lost = one.missing.filter((segment) => segment <= one.archived && !one.waits.includes(segment)).sort((a, b) => a - b);
      const state = states(given(one))['local'];
      expect(state?.state === 'gap').toBe(lost.length > 0);
      if (lost.length > 0)
        expect(state).toMatchObject({ firstMissing: wal(lost[0] ?? 0), lastMissing: wal(lost.at(-1) ?? 0), segments: lost.length });
    }),
  );
});

it('a backup is due exactly where there is a gap', () => {
  fc.assert(
    fc.property(world, (one) => {
      const { backupsDue, repositories } = assessArchive(given(one));
      expect(backupsDue.map(({ repository: name }) => name)).toEqual(
        repositories.filter(({ archive }) => archive.state === 'gap').map(({ repository: name }) => name),
      );
    }),
  );
});

it('nothing is ever the matter with a repository that holds everything, whatever the archiver says', () => {
  fc.assert(
    fc.property(some, fc.option(fc.integer({ min: 2, max: 19 }), { nil: undefined }), (waits, archived) => {
      const at = { waits: waits.toSorted((a, b) => a - b), ...(archived === undefined ? {} : { archived }) };
      expect(states(facts({ primary: primary(at), snapshots: [repository(LOCAL, segments(1, 19))] }))).toEqual({
        local: { state: 'healthy' },
      });
    }),
  );
});

it('a segment that arrives never makes the state worse', () => {
  const rank = { healthy: 0, unknown: 0, lagging: 1, failing: 2, gap: 3 };
  fc.assert(
    fc.property(world, fc.nat(), (one, which) => {
      fc.pre(one.missing.length > 0);
      const less = one.missing.filter((_, index) => index !== which % one.missing.length);
      const [before, after] = [one, { ...one, missing: less }].map((each) => rank[states(given(each))['local']?.state ?? 'unknown']);
      expect(after).toBeLessThanOrEqual(before ?? 0);
    }),
    {
      examples: [
        // Nothing dates segment 3, which comes first; 10 has been late all along.
        [{ missing: [10, 3], waits: [10], archived: 2 }, 1],
        // Three that nothing dates are many, whatever is known of a fourth.
        [{ missing: [3, 4, 5, 19], waits: [19], archived: 2 }, 3],
      ],
    },
  );
});

it('what cannot be read is never a gap, and never takes a backup', () => {
  fc.assert(
    fc.property(world, (one) => {
      const { snapshots, ...rest } = given(one);
      const both = facts({ ...rest, snapshots, unreadable: [unreadable(S3)] });
      expect(states(both)['s3']?.state).not.toBe('gap');
      expect(assessArchive(both).backupsDue.some(({ repository: name }) => name === S3)).toBe(false);
    }),
  );
});
