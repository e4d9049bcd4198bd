import type { PatroniMember } from '../../../../src/domain/patroni/view.ts';

/** A replica that streams, as Patroni lists it, but for what is given. */
export function patroniMember(name: string, more: Partial<PatroniMember> = {}): PatroniMember {
  const present = { name, role: 'replica', state: 'streaming', host: name, port: 5432, timeline: 1, lagBytes: 0n, pendingRestart: false };
  return { ...present, ...more } as PatroniMember;
}
