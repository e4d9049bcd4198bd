import { describe, expect, it } from 'vitest';
import { patroniFindings } from '../../../../src/domain/health/patroni-findings.ts';
import { memberOfNode, type PatroniMember, type PatroniView } from '../../../../src/domain/patroni/view.ts';
import { topologyOf } from '../../../../src/domain/topology/topology.ts';
import { patroniMember as member } from '../patroni/members.ts';
import { MIB, OURS, primary, standby } from '../topology/facts.ts';

const LEADER = member('a', { role: 'leader', state: 'running' });
const view = (more: Partial<PatroniView> = {}): PatroniView => ({
  url: 'http://a',
  version: '3.0.2',
  scope: 'main',
  paused: false,
  members: [LEADER, member('b')],
  history: [],
  ...more,
});
/** The servers say that a is the primary and b streams from it. */
const TOPOLOGY = topologyOf([primary('a', 10n * MIB), standby('b', { received: 10n * MIB, replayed: 10n * MIB, of: 'a' })], OURS);
const found = (more: Partial<PatroniView> = {}) =>
  patroniFindings({ scope: 'main', view: view(more) }, TOPOLOGY).map(({ code, node }) => (node === undefined ? code : `${code} ${node}`));

describe('a cluster that Patroni manages', () => {
  it('has no finding where Patroni and the servers say the same', () => expect(found()).toEqual([]));

  it('has none where it has no Patroni', () => expect(patroniFindings(undefined, TOPOLOGY)).toEqual([]));

  it('is told of a Patroni that is away, or has lost its configuration store', () => {
    const [finding] = patroniFindings({ scope: 'main', fault: 'refused' }, TOPOLOGY);
    expect(finding).toMatchObject({ code: 'patroni-unreachable', severity: 'critical', evidence: ['refused'] });
    expect(found({ storeFault: 'socket hang up', members: [], paused: true })).toEqual(['patroni-store-away', 'patroni-paused']);
  });

  it('is told that nobody takes over while it is paused', () => expect(found({ paused: true })).toEqual(['patroni-paused']));

  it('is told where nobody leads, or another one than accepts writes', () => {
    expect(found({ members: [member('a'), member('b')] })).toEqual(['patroni-no-leader']);
    expect(found({ members: [member('a'), member('b', { role: 'leader' })] })).toEqual(['patroni-wrong-leader a']);
  });

  it('is told of members that do not run, wait for a restart, or are on another timeline', () => {
    expect(found({ members: [LEADER, member('b', { state: 'start failed' })] })).toEqual(['patroni-member-down b']);
    expect(found({ members: [{ ...LEADER, pendingRestart: true }, member('b')] })).toEqual(['patroni-pending-restart a']);
    expect(found({ members: [LEADER, member('b', { timeline: 2 as never })] })).toEqual(['patroni-timeline b']);
    // What does not run says of itself what it once was.
    expect(found({ members: [LEADER, member('b', { state: 'crashed', timeline: 2 as never })] })).toEqual(['patroni-member-down b']);
  });

  it('is told of whom only the configuration knows, and whom only Patroni knows', () => {
    expect(found({ members: [LEADER, member('c')] })).toEqual(['patroni-member-missing b', 'patroni-node-unknown']);
  });

  it('is told more urgently of one that only Patroni knows and that leads, and what to write for it', () => {
    const members = [member('a'), member('b'), member('c', { role: 'leader', host: '10.0.0.3', port: 5433 })];
    const [finding] = patroniFindings({ scope: 'main', view: view({ members }) }, TOPOLOGY).filter(
      ({ code }) => code === 'patroni-node-unknown',
    );
    expect(finding).toMatchObject({ severity: 'critical', nextCommand: expect.stringContaining('name: c') });
    expect(finding?.nextCommand).toContain('@10.0.0.3:5433/');
  });

  it('is told of a member by the name of its node, and what to do with one that is none by Patroni', () => {
    const down = { state: 'start failed' };
    const renamed = [LEADER, member('pg-b', { ...down, host: 'b' })];
    const commands = (members: readonly PatroniMember[]) =>
      patroniFindings({ scope: 'main', view: view({ members }) }, TOPOLOGY).flatMap(({ code, node, nextCommand }) =>
        code === 'patroni-member-down' ? [[node, nextCommand]] : [],
      );
    expect(commands(renamed)).toEqual([['b', 'spoke-backup reseed b --dry-run']]);
    expect(commands([LEADER, member('b'), member('c', down)])).toEqual([['c', 'patronictl reinit main c']]);
  });
});

describe('the member that a node is', () => {
  const members = [member('x', { host: '10.0.0.1', port: 5433 }), member('y')];

  it('has its name, else its address', () => {
    expect(memberOfNode({ node: 'y', address: { host: '10.0.0.1', port: 5433 } }, { members })?.name).toBe('y');
    expect(memberOfNode({ node: 'a', address: { host: '10.0.0.1', port: 5433 } }, { members })?.name).toBe('x');
    expect(memberOfNode({ node: 'a', address: { host: '10.0.0.1', port: 5432 } }, { members })).toBeUndefined();
    expect(memberOfNode({ node: 'a' }, { members })).toBeUndefined();
  });
});
