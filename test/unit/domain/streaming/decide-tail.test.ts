import { describe, expect, it } from 'vitest';
import { decideTail, type TailFacts } from '../../../../src/domain/streaming/decide-tail.ts';
import { at } from '../recovery/world.ts';
import { local, object, part, whole } from './local.ts';

function facts(more: Partial<TailFacts> = {}): TailFacts {
  return {
    local: local(whole(4), part(5, 3000)),
    isCurrent: true,
    stored: new Map(),
    objects: [],
    isAcknowledged: () => false,
    isArchived: () => false,
    keepDays: 7,
    now: at(200),
    ...more,
  };
}

const names = (segments: readonly { readonly name: string }[]) => segments.map(({ name }) => name);

describe('the tail in a repository', () => {
  it('gets everything that the archive lacks, oldest first, and is announced after that', () => {
    const { put, announce } = decideTail(facts());
    expect(names(put)).toEqual([whole(4).name, part(5, 0).name]);
    expect(announce?.newest.name).toBe(part(5, 0).name);
  });

  it('gets a segment again when it has grown, and not when it has not', () => {
    const stored = new Map([
      [whole(4).name, whole(4).writtenBytes],
      [`${part(5, 0).name}.partial`, 2999],
    ]);
    expect(names(decideTail(facts({ stored })).put)).toEqual([part(5, 0).name]);
    const all = new Map([...stored, [`${part(5, 0).name}.partial`, 3000]]);
    expect(decideTail(facts({ stored: all, announcedAt: at(199) })).put).toEqual([]);
  });

  it('is not given what the archive has, or is told to have', () => {
    const isOld = ({ name }: { name: string }) => name === whole(4).name;
    expect(names(decideTail(facts({ isAcknowledged: isOld })).put)).toEqual([part(5, 0).name]);
    expect(names(decideTail(facts({ isArchived: (name) => isOld({ name }) })).put)).toEqual([part(5, 0).name]);
  });

  it('is made whole where a part of it was stored, whatever PostgreSQL was told: archive_command may have lied', () => {
    const told = { isAcknowledged: ({ isWhole }: { isWhole: boolean }) => isWhole };
    const stored = new Map([[`${whole(4).name}.partial`, 100]]);
    expect(names(decideTail(facts({ ...told, stored })).put)).toContain(whole(4).name);
    // As the daemon that was before has left it.
    expect(names(decideTail(facts({ ...told, objects: [object(4, 1, false)] })).put)).toContain(whole(4).name);
    expect(names(decideTail(facts(told)).put)).not.toContain(whole(4).name);
  });

  it('is made whole also where its last byte had come while it was still being received', () => {
    const { name, writtenBytes } = whole(4);
    expect(names(decideTail(facts({ stored: new Map([[`${name}.partial`, writtenBytes]]) })).put)).toContain(name);
  });

  it('does without the part of what it has as a whole', () => {
    expect(decideTail(facts({ objects: [object(4), object(4, 1, false), object(5, 1, false)] })).remove).toEqual([object(4, 1, false)]);
  });

  it('is confirmed every half minute while nothing grows and the receiver streams', () => {
    const stored = new Map([
      [whole(4).name, whole(4).writtenBytes],
      [`${part(5, 0).name}.partial`, 3000],
    ]);
    expect(decideTail(facts({ stored, announcedAt: at(171) })).announce).toBeUndefined();
    expect(decideTail(facts({ stored, announcedAt: at(170) })).announce?.at).toBe(at(200));
    expect(decideTail(facts({ stored, announcedAt: at(100), isCurrent: false })).announce).toBeUndefined();
  });

  it('is let go when it was seen in the archive, and not when that is only what PostgreSQL was told', () => {
    const objects = [object(4), object(5)];
    expect(decideTail(facts({ objects, isAcknowledged: () => true })).remove).toEqual([]);
    expect(decideTail(facts({ objects, isArchived: (name) => name === whole(4).name })).remove).toEqual([object(4)]);
  });

  it('keeps what an abandoned timeline has left as long as everything else', () => {
    const left = object(5, 1);
    const after = (days: number) =>
      decideTail(facts({ local: local(part(5, 9, 2)), objects: [left], now: at(200 + days * 86_400) })).remove;
    expect(after(6)).toEqual([]);
    expect(after(8)).toEqual([left]);
  });

  it('is left alone where nothing has been received', () => {
    expect(decideTail(facts({ local: local(), objects: [object(4)] }))).toEqual({ put: [], remove: [] });
  });
});
