import { describe, expect, it } from 'vitest';
import { clusterYaml, errorOf, parse, parseCluster } from './helpers.ts';

function messageOf(body: string): string {
  return errorOf(() => parse(clusterYaml(body))).message;
}

const BOUNCER = `
pgbouncer:
  - name: b
    adminUrl: postgresql://pgbouncer@127.0.0.1:6432/pgbouncer
    configFile: /etc/pgbouncer/pgbouncer.ini
    userListFile: /etc/pgbouncer/userlist.txt
    databases:
      app: {to: PLACE}
`;

describe('the servers and what is around them', () => {
  it('have defaults for everything that need not be said', () => {
    const { replication, reseed, failover, pgbouncer, endpoints, patroni, backupRole } = parseCluster('stanza: x');
    expect({ replication, reseed, failover, pgbouncer }).toEqual({
      replication: { role: 'replicator', sslMode: 'prefer', allowedFrom: [] },
      reseed: { maxLagMib: 16, streamTimeoutSeconds: 3600 },
      failover: { maxLagMib: 16, timeoutSeconds: 60 },
      pgbouncer: [],
    });
    expect([endpoints, patroni, backupRole]).toEqual([undefined, undefined, undefined]);
  });

  it('may be on other hosts, with a URL and a data directory', () => {
    const node = 'nodes:\n  - name: a\n    ssh: {host: db1}\n';
    expect(messageOf(node)).toMatch(/dataDirectory.* is missing \(ssh is given\)/);
    const whole = parseCluster(`${node}    dataDirectory: /data\n    url: postgresql://u@db1/postgres\n`);
    expect(whole.nodes[0]?.ssh).toEqual({ host: 'db1', port: 22, command: ['spoke-backup'] });
  });

  it('may not share a replication slot', () => {
    expect(messageOf('nodes:\n  - name: a-1\n  - name: a_1\n')).toContain('would have the replication slot of a-1, a_1');
  });

  it.each(['primary', 'standbys', 'n1'])('are where a PgBouncer may lead: %s', (place) => {
    const cluster = parseCluster(`nodes:\n  - name: n1\n${BOUNCER.replace('PLACE', place)}`);
    expect(cluster.pgbouncer[0]?.databases).toEqual({ app: { to: place } });
  });

  it('are the only places that a PgBouncer may lead to', () => {
    expect(messageOf(BOUNCER.replace('PLACE', 'n2'))).toContain('must be primary, standbys or the name of a node');
  });

  it.each(['a b', '-oProxyCommand=id', '$(id)', '../x'])('are never on a host called %s', (host) => {
    const body = `nodes:\n  - name: a\n    url: postgresql://u@h/d\n    dataDirectory: /data\n    ssh: {host: ${JSON.stringify(host)}}`;
    expect(messageOf(body)).toContain('must be a host name or an IPv4 address');
  });

  it('are started and stopped by Patroni alone where it manages the cluster, and by pg_ctl where nobody says otherwise', () => {
    const patroni = 'patroni: {urls: ["http://10.0.0.1:8008"]}\n';
    const node = (service: string) => `nodes:\n  - name: a\n    ${service}\n`;
    const services = (text: string) => parseCluster(text).nodes.map(({ service }) => service);
    expect(services(node(''))).toEqual([{ manager: 'pg_ctl' }]);
    for (const service of ['', 'service: {manager: patroni}'])
      expect(services(patroni + node(service))).toEqual([{ manager: 'patroni', member: 'a' }]);
    expect(messageOf(patroni + node('service: {manager: pg_ctl}'))).toContain('must be patroni, or service be left out');
    expect(messageOf(node('service: {manager: patroni}'))).toContain('needs patroni in the cluster');
  });

  it('take Patroni by the name of the cluster where it has no other', () => {
    expect(parseCluster('patroni: {urls: ["http://10.0.0.1:8008"]}').patroni).toEqual({ urls: ['http://10.0.0.1:8008'], scope: 'main' });
  });
});
