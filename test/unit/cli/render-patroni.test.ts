import { describe, expect, it } from 'vitest';
import { patroniLines, patroniToJson } from '../../../src/cli/render/patroni.ts';
import type { PatroniMember, PatroniSighting } from '../../../src/domain/patroni/view.ts';

const member = (name: string, role: PatroniMember['role'], host: string): PatroniMember => ({
  name,
  role,
  host,
  port: 5432,
  state: 'running',
  pendingRestart: false,
});
const members = [member('a', 'leader', '10.0.0.1'), member('pg-b', 'replica', '10.0.0.2'), member('c', 'replica', '10.0.0.3')];
const seen: PatroniSighting = {
  scope: 'main',
  view: { url: 'http://a', version: '3.0.2', scope: 'main', paused: false, members, history: [] },
};
const NODES = [{ node: 'a' }, { node: 'b', address: { host: '10.0.0.2', port: 5432 } }];

describe("Patroni's view in status", () => {
  it('says which node a member is, and of one that is none where to go on', () => {
    const lines = patroniLines(seen, NODES).join('\n').split('\n');
    const lineOf = (name: string) => lines.find((line) => line.startsWith(`${name} `)) ?? '';
    expect(lineOf('a')).not.toMatch(/node|configuration/);
    expect(lineOf('pg-b')).toMatch(/node b$/);
    expect(lineOf('c')).toMatch(/not in the configuration: spoke-backup doctor$/);
    const shown = patroniToJson(seen, NODES);
    expect(shown !== null && 'members' in shown ? shown.members.map(({ node }) => node) : undefined).toEqual(['a', 'b', null]);
  });
});
