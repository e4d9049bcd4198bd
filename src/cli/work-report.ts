/** What is shown of a run, or of its plan. */
export interface WorkReport {
  readonly document: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Something was not done. */
  readonly isPartial: boolean;
}
