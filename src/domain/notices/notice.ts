import type { Instant } from '../time/instant.ts';

/** What notices are about; channels can ask for some of them only. */
export type NoticeTopic = 'run' | 'missed-run' | 'rpo' | 'drill' | 'health';

/**
 * `failure`: something is wrong that was not; `reminder`: it still is; `recovery`: it no longer is; `result`: said although
 * nothing was wrong; `held-back`: how many were not said; `test`: somebody tries whether notices arrive.
 */
export type NoticeKind = 'failure' | 'reminder' | 'recovery' | 'result' | 'held-back' | 'test';

/** What is said to people. Holds no secret. */
export interface Notice {
  /** The same however often it is sent: receivers can tell repetitions by it. */
  readonly id: string;
  readonly kind: NoticeKind;
  readonly topic: NoticeTopic | undefined;
  /** Undefined where it is about all clusters. */
  readonly cluster: string | undefined;
  readonly at: Instant;
  /** One line that names the cluster. */
  readonly title: string;
  /** Why, in a few lines at most. */
  readonly cause: string;
  /** The command that one would type now. */
  readonly next: string;
  readonly runId?: string;
  /** The code of the error (docs/errors.md). */
  readonly code?: string;
}

/** Something that was looked at, and is as it should be or not. */
export interface Observation {
  readonly cluster: string;
  readonly topic: NoticeTopic;
  /** What of the cluster, in a few words: `backup daily-full`. With cluster and topic it tells one thing from every other. */
  readonly subject: string;
  readonly state: 'failing' | 'well';
  readonly cause: string;
  readonly next: string;
  readonly runId?: string;
  /** Another code is another cause: it is said although the failure is known. */
  readonly code?: string;
  /** Said also where nothing was wrong before: the result of a drill. */
  readonly isResult?: boolean;
}

const LONGEST_LINE = 300;
const LONGEST_CAUSE = 1_500;

/** One line of at most 300 characters. */
export function oneLine(text: string): string {
  return shortened(
    withoutPasswords(text)
      .replaceAll(/[\s\u0000-\u001f\u007f]+/g, ' ')
      .trim(),
    LONGEST_LINE,
  );
}

/** A few lines, without control characters. */
export function fewLines(text: string): string {
  return shortened(
    withoutPasswords(text)
      .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f]+/g, ' ')
      .trim(),
    LONGEST_CAUSE,
  );
}

/** The last line of defence: no message should have one in it. */
function withoutPasswords(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):[^\s/]*@/gi, '$1:***@')
    .replaceAll(/((?:password|passphrase|secret|token)["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&]+)/gi, '$1***');
}

function shortened(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}
