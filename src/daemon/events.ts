import type { DueRun, PassedOver } from '../domain/schedule/due-run.ts';
import type { ArchiveState } from '../domain/health/archive-state.ts';
import type { ArchiveAssessment } from '../domain/health/assess-archive.ts';
import type { RunEnd } from './cluster-work.ts';

/** Everything that the daemon says of itself; what a run says while it works is a RunEvent. */
export type DaemonEvent =
  | { readonly kind: 'standing-by'; readonly cluster: string }
  | { readonly kind: 'in-office'; readonly cluster: string }
  | { readonly kind: 'office-lost'; readonly cluster: string; readonly message: string }
  | { readonly kind: 'run-due'; readonly cluster: string; readonly run: DueRun }
  | { readonly kind: 'run-begun'; readonly cluster: string; readonly run: DueRun; readonly runId: string }
  | { readonly kind: 'run-ended'; readonly cluster: string; readonly run: DueRun; readonly end: RunEnd }
  | { readonly kind: 'passed-over'; readonly cluster: string; readonly passed: PassedOver }
  /** It could not be seen what is due; tried again after `retryAfterMs`. */
  | {
      readonly kind: 'observing-failed';
      readonly cluster: string;
      readonly code: string;
      readonly message: string;
      readonly retryAfterMs: number;
    }
  | {
      readonly kind: 'archive-changed';
      readonly cluster: string;
      readonly repository: string;
      readonly state: ArchiveState['state'];
      readonly described: string;
    }
  /** After each look, also where nothing has changed. */
  | { readonly kind: 'archive-looked'; readonly cluster: string; readonly assessment: ArchiveAssessment }
  | { readonly kind: 'clock-jumped'; readonly seconds: number }
  | { readonly kind: 'configuration-loaded'; readonly clusters: number; readonly changed: readonly string[] }
  | { readonly kind: 'configuration-refused'; readonly message: string }
  | { readonly kind: 'stopping'; readonly graceSeconds: number; readonly running: number }
  | { readonly kind: 'note'; readonly cluster?: string; readonly level: 'info' | 'warning'; readonly message: string };

export type DaemonEventSink = (event: DaemonEvent) => void;
