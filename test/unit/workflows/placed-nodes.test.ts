import { expect, it } from 'vitest';
import { topologyOf } from '../../../src/domain/topology/topology.ts';
import type { PgBouncerConfig } from '../../../src/config/model.ts';
import { placedNodes } from '../../../src/workflows/change-primary/observe.ts';
import { bouncerConfiguration } from '../../../src/workflows/setup-cluster/pgbouncer.ts';
import { files, MIB, OURS, standby } from '../domain/topology/facts.ts';

const BOUNCER = {
  name: 'front',
  userListFile: '/u',
  settings: {},
  databases: { app: { to: 'primary' }, of_a: { to: 'a' }, of_b: { to: 'b' }, of_c: { to: 'c' } },
} as unknown as PgBouncerConfig;
const ADDRESSES = new Map(['a', 'b', 'c'].map((host) => [host, { host, port: 5432 }]));
const AT = { received: MIB, replayed: MIB };
/** a has stopped, b becomes the primary; c does not answer just now. */
const TOPOLOGY = topologyOf(
  [
    { node: 'a', unreachable: 'refused', files: files({ hasStandbySignal: true }) },
    standby('b', AT),
    { node: 'c', unreachable: 'no route' },
  ],
  OURS,
);

function hosts(roles: Parameters<typeof placedNodes>[2], away?: string) {
  const nodes = placedNodes(TOPOLOGY, ADDRESSES, roles, away);
  const { databases } = bouncerConfiguration({ bouncer: BOUNCER, adminUser: 'admin', listenPort: 6432 }, nodes);
  return Object.fromEntries(databases.map((one) => [one.name, one.hosts.join()]));
}

it('a database that names the old primary goes to the new one while that is away, and back once it is a standby', () => {
  expect(hosts({ to: 'b' }, 'a')).toEqual({ app: 'b', of_a: 'b', of_b: 'b', of_c: 'c' });
  expect(hosts({ to: 'b', from: 'a' })).toEqual({ app: 'b', of_a: 'a', of_b: 'b', of_c: 'c' });
});

it('a database that names a fenced node goes to the new primary', () => {
  expect(hosts({ to: 'b', gone: ['a'] })).toEqual({ app: 'b', of_a: 'b', of_b: 'b', of_c: 'c' });
});
