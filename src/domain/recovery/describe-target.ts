import { formatLsn } from '../postgres/lsn.ts';
import { formatInstantUtc } from '../time/instant.ts';
import type { RecoveryTarget } from './target.ts';

/** The target in words, for plans and summaries. */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return `${target.inclusive ? '' : 'just before '}${formatInstantUtc(target.time)}`;
    case 'lsn':
      return `${target.inclusive ? '' : 'just before '}LSN ${formatLsn(target.lsn)}`;
    case 'xid':
      return `${target.inclusive ? '' : 'just before '}transaction ${target.xid}`;
    case 'name':
      return `restore point "${target.name}"`;
    case 'immediate':
      return 'the end of the backup';
    case 'latest':
      return 'the end of the archive';
  }
}
