import { describe, expect, it } from 'vitest';
import { directoryFindings } from '../../../src/cli/check-hosts.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { observeNodes } from '../../../src/workflows/observe-cluster.ts';
import { buildCluster, NODE } from '../../fakes/cluster.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

/** The node's server and its data directory, as its host tells of it but for what a test changes. */
async function seen(changes: Partial<DirectoryFacts> = {}) {
  const { world, cluster } = buildCluster();
  const servers = await observeNodes(cluster, readOnlyPorts(new FakeProcess(world), cluster), { signal: new AbortController().signal });
  const directory = servers[0]?.directory;
  if (directory === undefined) throw new Error('there is no data directory');
  return directoryFindings({ directory: { ...directory, ...changes }, servers, host: 'db2', node: NODE }, 'clusters.main.nodes[0]');
}

describe('the data directory of a node on another host', () => {
  it('is as it should be', async () => {
    expect(await seen()).toEqual([]);
  });

  it('is of another cluster', async () => {
    const { world, cluster } = buildCluster();
    const ports = readOnlyPorts(new FakeProcess(world), cluster);
    const [node] = await observeNodes(cluster, ports, { signal: new AbortController().signal });
    const control = node?.directory?.control;
    if (control === undefined) throw new Error('there is no pg_control');
    const [finding] = await seen({ control: { ...control, systemIdentifier: 7n as typeof control.systemIdentifier } });
    expect(finding).toMatchObject({ severity: 'error', path: 'clusters.main.nodes[0].dataDirectory' });
    expect(finding?.message).toContain('they are not one cluster');
  });

  it('has no server although its url answers: ssh leads elsewhere', async () => {
    const { world, cluster } = buildCluster({ primary: 'running' });
    const servers = await observeNodes(cluster, readOnlyPorts(new FakeProcess(world), cluster), { signal: new AbortController().signal });
    const directory = servers[0]?.directory;
    if (directory === undefined) throw new Error('there is no data directory');
    const { running: _running, ...stopped } = directory;
    const [finding] = directoryFindings({ directory: stopped, servers, host: 'db2', node: NODE }, 'at');
    expect(finding).toMatchObject({ severity: 'error', hint: 'ssh and url name different hosts.' });
  });

  it('cannot be looked into by the user of ssh', async () => {
    const [finding] = await seen({ forbidden: '/data cannot be looked into by the user nobody' });
    expect(finding?.hint).toContain('ssh.user');
  });
});
