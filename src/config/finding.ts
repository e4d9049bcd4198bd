/** Something about a valid configuration that will not work (error) or that somebody may regret (warning). */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** The key: `clusters.main.repositories[0].path`. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}
