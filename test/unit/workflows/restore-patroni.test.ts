import { describe, expect, it } from 'vitest';
import type { NodeConfig } from '../../../src/config/model.ts';
import type { PatroniMember, PatroniSighting, PatroniView } from '../../../src/domain/patroni/view.ts';
import { NOON } from '../domain/topology/facts.ts';
import type { RestoreIntent } from '../../../src/workflows/restore/intent.ts';
import {
  patroniOfRestore,
  pauseForRestore,
  refuseBesidePatroni,
  resumeAfterGivingUp,
  resumeAfterRestore,
} from '../../../src/workflows/restore/patroni.ts';

const node = (name: string): NodeConfig => ({ name, address: { host: name, port: 5432 }, service: { manager: 'patroni', member: name } });
const member = (name: string, role: PatroniMember['role'], host = name): PatroniMember => ({
  name,
  role,
  host,
  port: 5432,
  state: 'running',
  pendingRestart: false,
});
const seen = (more: Partial<PatroniView> = {}): PatroniSighting => {
  const members = [member('pg-a', 'leader', 'a'), member('b', 'replica')];
  return { scope: 'main', view: { url: 'http://a', version: '3.0.2', scope: 'main', paused: false, members, history: [], ...more } };
};
const code = (name: string, sighting: PatroniSighting | undefined) => refuseBesidePatroni(node(name), sighting)?.code;
const intent = (patroni: RestoreIntent['patroni']) => ({ patroni }) as RestoreIntent;
const kinds = (steps: readonly { readonly kind: string }[]) => steps.map(({ kind }) => kind);

describe('a restore in place of a cluster that Patroni manages', () => {
  it('is one of the leader, or of anybody while nobody leads', () => {
    expect(code('a', seen())).toBeUndefined();
    expect(code('b', seen())).toBe('REFUSED_PRECONDITION');
    expect(code('b', seen({ members: [member('b', 'replica')] }))).toBeUndefined();
  });

  it('needs a Patroni that can be told to keep still', () => {
    expect(code('a', { scope: 'main', fault: 'refused' })).toBe('PATRONI_UNAVAILABLE');
    expect(code('a', seen({ members: [], storeFault: 'hang up' }))).toBe('PATRONI_UNAVAILABLE');
    expect(code('a', undefined)).toBeUndefined();
  });

  it('pauses it, and lets it go on with the member that was restored', () => {
    const patroni = patroniOfRestore(node('a'), seen());
    expect(patroni).toEqual({ member: 'pg-a', wasPaused: false });
    expect(kinds(pauseForRestore(intent(patroni)))).toEqual(['pause-patroni']);
    expect(resumeAfterRestore(intent(patroni))).toMatchObject([{ kind: 'resume-patroni', leader: 'pg-a' }]);
  });

  it('leaves it paused where somebody had paused it before, and alone where there is none', () => {
    for (const patroni of [patroniOfRestore(node('a'), seen({ paused: true })), patroniOfRestore(node('a'), undefined), undefined]) {
      expect(pauseForRestore(intent(patroni))).toEqual([]);
      expect(resumeAfterRestore(intent(patroni))).toEqual([]);
    }
  });

  it('that is given up lets it go on only where it had paused it itself', () => {
    const paused = { at: NOON, kind: 'step-started', step: 'pause-patroni' } as const;
    const given = intent({ member: 'pg-a', wasPaused: false });
    expect(resumeAfterGivingUp(given, { entries: [] })).toEqual([]);
    expect(resumeAfterGivingUp(given, { entries: [paused as never] })).toMatchObject([{ kind: 'resume-patroni', leader: null }]);
  });
});
