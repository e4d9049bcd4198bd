import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { historyOf, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentNumberBefore, walSegmentName } from '../postgres/wal-segment.ts';
import { type ArchiveFacts, type ArchivingPrimary, tipsOf } from './archive-facts.ts';
import { primaryHistory } from './archive-reach.ts';
import type { HealthFinding } from './finding.ts';

/** WAL in the repositories that is none of this primary's: of another cluster, or of another server that calls itself this one. */
export function foreignWalFindings(primary: ArchivingPrimary, facts: ArchiveFacts): readonly HealthFinding[] {
  const history = primaryHistory(primary, facts);
  return facts.snapshots.flatMap((snapshot) => [
    ...foreignCluster(snapshot, primary),
    ...foreignTimelines(snapshot, { primary, facts, history }),
  ]);
}

function foreignCluster({ repository, systemIdentifier }: RepositorySnapshot, primary: ArchivingPrimary): readonly HealthFinding[] {
  if (systemIdentifier === undefined || systemIdentifier === primary.systemIdentifier) return [];
  return [
    {
      code: 'foreign-cluster',
      severity: 'critical',
      repository,
      message: `repository ${repository} belongs to another cluster than ${primary.node}`,
      evidence: [`system identifier there ${systemIdentifier}, of ${primary.node} ${primary.systemIdentifier}`],
      cause: 'The cluster was made anew by initdb, or the configuration names the repository or the stanza of another cluster.',
      nextCommand: 'spoke-backup config check',
    },
  ];
}

interface Context {
  readonly primary: ArchivingPrimary;
  readonly facts: ArchiveFacts;
  readonly history: TimelineHistory;
}

function foreignTimelines(snapshot: RepositorySnapshot, context: Context): readonly HealthFinding[] {
  const { primary } = context;
  if (snapshot.systemIdentifier !== undefined && snapshot.systemIdentifier !== primary.systemIdentifier) return [];
  return tipsOf(snapshot).flatMap(({ timeline, lastSegment }) => {
    const why = whyForeign(timeline, lastSegment, snapshot, context);
    if (why === undefined) return [];
    return [
      {
        code: 'foreign-timeline',
        severity: 'critical',
        repository: snapshot.repository,
        message: `repository ${snapshot.repository} holds WAL of timeline ${timeline}, which is not from ${primary.node}`,
        evidence: [why, `last segment there: ${walSegmentName(timeline, lastSegment, primary.segmentSizeBytes)}`],
        cause: 'Another server of this cluster archives into the repository: an old primary that came back, a copy or a drill.',
        nextCommand: 'spoke-backup status',
      } satisfies HealthFinding,
    ];
  });
}

/** Undefined where it is known whence the timeline comes, and nobody goes on with it. */
function whyForeign(timeline: TimelineId, lastSegment: bigint, snapshot: RepositorySnapshot, context: Context): string | undefined {
  const { primary, history, facts } = context;
  if (timeline === primary.timeline) return undefined;
  if (timeline > primary.timeline) return `${primary.node} is on timeline ${primary.timeline}, which is older`;
  const fork = history.ancestors.find((ancestor) => ancestor.timeline === timeline);
  const isKnown = historyOf(timeline, [...(snapshot.walArchive?.histories ?? []), ...facts.histories]) !== undefined;
  if (fork === undefined && !isKnown) return `timeline ${timeline} has no history file: it descends from nowhere that is known`;
  const ownEnd = fork === undefined ? -1n : segmentNumberBefore(fork.switchLsn, primary.segmentSizeBytes);
  const before = tipBefore(snapshot, timeline, context);
  if (before === undefined || lastSegment <= before || lastSegment <= ownEnd) return undefined;
  return `it has grown since ${primary.node} is on timeline ${primary.timeline}`;
}

/** Where the timeline ended when the primary was first seen on its own one. */
function tipBefore({ repository }: RepositorySnapshot, timeline: TimelineId, { primary, facts }: Context): bigint | undefined {
  const first = facts.samples.find((sample) => sample.timeline === primary.timeline);
  return first?.tips.find((tip) => tip.repository === repository && tip.timeline === timeline)?.lastSegment;
}
