import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entriesOf } from '../../../src/adapters/state/journal-file.ts';
import { isRunId, newRunId } from '../../../src/adapters/state/run-id.ts';
import { entryOfLine, entryToLine, headerOfText, headerToText } from '../../../src/adapters/state/run-json.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import type { JournalEntry, RunHeader } from '../../../src/ports/run-store.ts';

/** 2026-11-22 21:16:28.123456 UTC, by `date -u -d '2026-11-22 21:16:28' +%s`. */
const AT = instantOfMicros(1_795_382_188_123_456n);

const header: RunHeader = {
  runId: newRunId('restore', AT, 'k3f9'),
  verb: 'restore',
  cluster: 'main',
  startedAt: AT,
  host: 'db1',
  user: 'postgres',
  programVersion: '0.1.0',
  trigger: { kind: 'manual' },
  intent: { to: '2026-11-22T14:05:00.123456Z', nested: [1, null, 'ä\n"'] },
};

const jsonDetail = fc.jsonValue().map((value): unknown => JSON.parse(JSON.stringify(value)));
const instant = fc.bigInt({ min: 0n, max: 4_102_444_800_000_000n }).map(instantOfMicros);
const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
const entry: fc.Arbitrary<JournalEntry> = fc.oneof(
  fc.record({ at: instant, kind: fc.constant('attempt' as const), pid: fc.nat(), detail: jsonDetail }),
  fc.record({ at: instant, kind: fc.constant('step-started' as const), step: text, detail: jsonDetail }),
  fc.record({ at: instant, kind: fc.constant('step-finished' as const), step: text, seconds: fc.nat(), result: jsonDetail }),
  fc.record({ at: instant, kind: fc.constant('step-failed' as const), step: text, code: text, message: text }),
  fc.record({ at: instant, kind: fc.constant('note' as const), message: text, detail: jsonDetail }),
  fc.record({ at: instant, kind: fc.constant('run-finished' as const), outcome: fc.constant('failed' as const), result: jsonDetail }),
);

describe('a run id', () => {
  it('tells time, verb and suffix', () => {
    expect(newRunId('restore', AT, 'k3f9')).toBe('20261122T211628Z-restore-k3f9');
    expect(newRunId('setup-archiving', AT, '0')).toBe('20261122T211628Z-setup-archiving-0');
  });

  it.each(['', '../../etc', 'a/b', 'K3F9', 'x'.repeat(17), 'a b', 'a\0'])('refuses the suffix %j', (suffix) => {
    expect(() => newRunId('backup', AT, suffix)).toThrow(RangeError);
  });

  it.each(['..', '.', '', '20261122T211628Z-restore-k3f9/..', '../20261122T211628Z-restore-k3f9', '20261122T211628Z-restore-k3f9\n'])(
    'is not %j',
    (candidate) => {
      expect(isRunId(candidate)).toBe(false);
    },
  );
});

describe('a header', () => {
  it('comes back as it was, microseconds included', () => {
    expect(headerOfText(headerToText(header))).toEqual(header);
    expect(headerToText(header)).toContain('"startedAt": "2026-11-22T21:16:28.123456Z"');
  });

  it.each<[string, RunHeader['trigger']]>([
    ['hand', { kind: 'manual' }],
    ['a schedule', { kind: 'schedule', name: 'daily-full', occurrence: AT }],
    ['something that made a backup due early', { kind: 'early', reason: 'the primary is on timeline 2' }],
  ])('tells that the run was begun by %s', (_what, trigger) => {
    expect(headerOfText(headerToText({ ...header, trigger }))?.trigger).toEqual(trigger);
  });

  it.each([undefined, null, 'daily-full', { kind: 'schedule', name: 'daily-full' }, { kind: 'moon' }])(
    'that notes %j as what began it is of a run that was begun by hand',
    (trigger) => {
      const old = JSON.stringify({ ...(JSON.parse(headerToText(header)) as object), trigger });
      expect(headerOfText(old)).toEqual({ ...header, trigger: { kind: 'manual' } });
    },
  );

  it.each(['', '{', 'null', '[]', '{"schema":1}', headerToText(header).slice(0, -20)])('is none where the file holds %j', (content) => {
    expect(headerOfText(content)).toBeUndefined();
  });
});

describe('a line of the journal', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(entry, (original) => {
        const line = entryToLine(original);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(entryOfLine(line.slice(0, -1))).toEqual(original);
      }),
    );
  });

  it('writes a bigint as its digits: a journal must not fail for what a step noted', () => {
    const line = entryToLine({ at: AT, kind: 'note', message: 'm', detail: { lsn: 2n ** 64n - 1n } });
    expect(JSON.parse(line)).toMatchObject({ detail: { lsn: '18446744073709551615' } });
  });

  it.each([
    '',
    'x',
    '{"at":"2026-11-22T21:16:28.123456Z"}',
    '{"at":"yesterday","kind":"note","message":"m"}',
    '{"at":"2026-13-22T21:16:28.123456Z","kind":"note","message":"m"}',
    '{"at":"2026-11-22T21:16:28.123456Z","kind":"toString","message":"m"}',
    '{"at":"2026-11-22T21:16:28.123456Z","kind":"step-finished","step":"copy"}',
  ])('is none where it holds %j', (line) => {
    expect(entryOfLine(line)).toBeUndefined();
  });
});

describe('a journal', () => {
  it('cut at any byte gives the entries of its whole lines and nothing else', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), fc.double({ min: 0, max: 1, noNaN: true }), (entries, cut) => {
        const whole = Buffer.from(entries.map(entryToLine).join(''));
        const torn = whole.subarray(0, Math.floor(whole.length * cut));
        const wholeLines = torn.filter((byte) => byte === 0x0a).length;
        expect(entriesOf(torn.toString('utf8'), AT)).toEqual(entries.slice(0, wholeLines));
      }),
    );
  });

  it('notes a line in its middle that cannot be read, and goes on', () => {
    const [first, last] = ['before', 'after'].map((message) => entryToLine({ at: AT, kind: 'note', message, detail: null }));
    const found = entriesOf(`${first}\0\0\0\n${last}`, AT);
    expect(found).toHaveLength(3);
    expect(found[1]).toMatchObject({ kind: 'note', at: AT, detail: { line: 2 } });
    expect(found[2]).toMatchObject({ message: 'after' });
  });
});
