/** The passwords that setting up a cluster needs. For handing on, never for printing; undefined where the configuration gives none. */
export interface ClusterSecrets {
  /** Throws SECRET_UNAVAILABLE. */
  replicationPassword(): Promise<string | undefined>;
  backupPassword(): Promise<string | undefined>;
  /** URL of the admin console of that PgBouncer with the password in it. Throws USAGE where there is no such PgBouncer. */
  bouncerAdminUrl(name: string): Promise<string>;
}
