import {
  isLeader,
  leaderOf,
  memberOfNode,
  nodeOfMember,
  type PatroniMember,
  type PatroniSighting,
  type PatroniView,
  runs,
} from '../patroni/view.ts';
import type { Topology } from '../topology/topology.ts';
import type { HealthFinding } from './finding.ts';

const LIST = 'patronictl list';

/** What Patroni says that somebody should know of, and where it and the servers themselves do not say the same. Pure. */
export function patroniFindings(sighting: PatroniSighting | undefined, topology: Topology): readonly HealthFinding[] {
  if (sighting === undefined) return [];
  const { view, scope } = sighting;
  if (view === undefined) return [unreachable(scope, sighting.fault)];
  const paused = view.paused ? [pausedCluster(view)] : [];
  if (view.storeFault !== undefined) return [storeAway(view, view.storeFault), ...paused];
  return [
    ...leaderFindings(view, topology),
    ...paused,
    ...view.members.flatMap((member) => memberFindings(member, view, topology)),
    ...strangers(view, topology),
  ];
}

function unreachable(scope: string, fault: string): HealthFinding {
  return {
    code: 'patroni-unreachable',
    severity: 'critical',
    message: `the Patroni of ${scope} does not answer`,
    evidence: [fault],
    cause: 'It is down, the network is, or patroni.urls is wrong: nobody takes over should the primary die.',
    nextCommand: LIST,
  };
}

function storeAway({ scope, url }: PatroniView, fault: string): HealthFinding {
  return {
    code: 'patroni-store-away',
    severity: 'critical',
    message: `the Patroni of ${scope} cannot reach its configuration store`,
    evidence: [`${url}: ${fault}`],
    cause: 'etcd, Consul or whatever it has is down or cut off: Patroni turns the primary into a standby then, unless failsafe_mode is on.',
    nextCommand: 'etcdctl endpoint health   (or what your configuration store has)',
  };
}

function pausedCluster({ scope }: PatroniView): HealthFinding {
  return {
    code: 'patroni-paused',
    severity: 'warning',
    message: `the Patroni of ${scope} is paused: nobody takes over should the primary die`,
    evidence: ['GET /cluster: pause'],
    cause: 'Somebody works on the cluster, or forgot to end it; a restore in place pauses it, too.',
    nextCommand: 'spoke-backup runs   (once none is under way: patronictl resume)',
  };
}

function leaderFindings(view: PatroniView, { primary, primaries }: Topology): readonly HealthFinding[] {
  const leader = leaderOf(view);
  const seen = view.members.map(({ name, role, state }) => `${name}: ${role}, ${state}`);
  if (leader === undefined)
    return [
      {
        code: 'patroni-no-leader',
        severity: 'critical',
        message: `Patroni has no leader of ${view.scope}`,
        evidence: seen,
        cause: 'No member is fit to lead: too far behind (maximum_lag_on_failover), not running, or tagged nofailover; or it is paused.',
        nextCommand: 'spoke-backup failover --dry-run',
      },
    ];
  if (primaries.length !== 1 || primary === undefined || leader.role === 'standby leader') return [];
  const member = memberOfNode(primary.facts, view);
  if (member === undefined || isLeader(member)) return [];
  return [
    {
      code: 'patroni-wrong-leader',
      severity: 'critical',
      node: primary.node,
      message: `${primary.node} accepts writes, and the leader is ${leader.name}, says Patroni`,
      evidence: seen,
      cause: 'It has just changed; or somebody promoted a server beside Patroni.',
      nextCommand: 'spoke-backup status   (in a few seconds, again)',
    },
  ];
}

function memberFindings(member: PatroniMember, view: PatroniView, { nodes }: Topology): readonly HealthFinding[] {
  const { name, state, timeline, pendingRestart } = member;
  const node = nodeOfMember(
    member,
    view,
    nodes.map(({ facts }) => facts),
  )?.node;
  const makeAnew = node === undefined ? `patronictl reinit ${view.scope} ${name}` : `spoke-backup reseed ${node} --dry-run`;
  const leader = leaderOf(view);
  const about = (
    code: HealthFinding['code'],
    severity: HealthFinding['severity'],
    words: Pick<HealthFinding, 'message' | 'cause' | 'nextCommand'>,
  ): HealthFinding => ({ code, severity, node: node ?? name, evidence: [`GET /cluster: ${name} is ${state}`], ...words });
  return [
    ...(runs(member)
      ? []
      : [
          about('patroni-member-down', 'warning', {
            message: `Patroni does not have ${name} running: ${state}`,
            cause: 'Its log says why; it may be on its way (creating replica, starting).',
            nextCommand: isLeader(member) ? LIST : makeAnew,
          }),
        ]),
    ...(pendingRestart
      ? [
          about('patroni-pending-restart', 'warning', {
            message: `${name} has settings that wait for a restart`,
            cause: 'They were changed in the dynamic configuration, and PostgreSQL takes them at a start only.',
            nextCommand: `patronictl restart ${view.scope} ${name}`,
          }),
        ]
      : []),
    ...(runs(member) && timeline !== undefined && leader?.timeline !== undefined && timeline !== leader.timeline
      ? [
          about('patroni-timeline', 'warning', {
            message: `${name} is on timeline ${timeline}, and the leader ${leader.name} on ${leader.timeline}`,
            cause: 'It does not follow yet, or cannot: it has WAL that the leader never had.',
            nextCommand: makeAnew,
          }),
        ]
      : []),
  ];
}

/** Whom only one of both knows. */
function strangers(view: PatroniView, { nodes }: Topology): readonly HealthFinding[] {
  const names = nodes.map(({ facts }) => facts);
  const missing = names.filter((node) => memberOfNode(node, view) === undefined);
  return [
    ...missing.map(({ node }): HealthFinding => {
      return {
        code: 'patroni-member-missing',
        severity: 'warning',
        node,
        message: `${node} is no member of Patroni's cluster ${view.scope}`,
        evidence: [`members: ${view.members.map(({ name }) => name).join(', ')}`],
        cause: 'Its Patroni is down, or the node has another name there and another address.',
        nextCommand: LIST,
      };
    }),
    ...view.members
      .filter((member) => nodeOfMember(member, view, names) === undefined)
      .map((member): HealthFinding => {
        const { name, host = '<host>', port = 5432, role, state } = member;
        return {
          code: 'patroni-node-unknown',
          severity: isLeader(member) ? 'critical' : 'warning',
          message: `Patroni has a member ${name} that the configuration does not name${isLeader(member) ? ', and it leads' : ''}`,
          evidence: [`GET /cluster: ${name} (${role}) is ${state}, at ${host}:${port}`],
          cause: `It was added to the cluster: nothing of it is looked at, and ${isLeader(member) ? 'no backup is taken of it' : 'no backup follows should it lead'}.`,
          nextCommand: `Add to nodes "- {name: ${name}, url: 'postgresql://<role>@${host}:${port}/postgres'}", then: spoke-backup config check --online`,
        };
      }),
  ];
}
