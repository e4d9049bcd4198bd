import type { HbaRule } from '../domain/postgres/hba.ts';
import type { FileOwner } from '../ports/instance.ts';
import type { RoleRights } from '../domain/setup/roles.ts';

/** Steps that set up servers and what stands in front of them. None of them holds a secret: a plan is printed and journaled. */
export type SetupStep =
  | {
      readonly kind: 'configure-server';
      readonly node: string;
      /** What it was when the plan was made, and must still be. */
      readonly role: 'primary' | 'standby';
      readonly settings: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'ensure-role';
      readonly node: string;
      readonly role: string;
      /** Whose password in the configuration it gets. */
      readonly purpose: 'replication' | 'backup';
      readonly rights: RoleRights;
    }
  | { readonly kind: 'ensure-slots'; readonly node: string; readonly slots: readonly string[] }
  | { readonly kind: 'allow-connections'; readonly node: string; readonly file: string; readonly rules: readonly HbaRule[] }
  | {
      readonly kind: 'write-passfile';
      readonly node: string;
      readonly path: string;
      readonly dataDirectory: string;
      readonly role: string;
      /** Absent: whoever owns the data directory. */
      readonly owner?: FileOwner;
      /** Those that may be its primary. */
      readonly servers: readonly { readonly host: string; readonly port: number }[];
    }
  | { readonly kind: 'check-streaming'; readonly node: string; readonly primary: string; readonly slot: string }
  | {
      readonly kind: 'write-pgbouncer';
      readonly bouncer: string;
      /** Whose roles the user list has. */
      readonly primary: string;
      readonly configFile: string;
      readonly configuration: string;
      readonly userListFile: string;
      /** Empty: all that can log in. */
      readonly users: readonly string[];
      readonly adminUser: string;
    }
  | { readonly kind: 'reload-pgbouncer'; readonly bouncer: string }
  | { readonly kind: 'check-pgbouncer'; readonly bouncer: string; readonly databases: readonly string[] }
  | {
      readonly kind: 'publish-endpoints';
      readonly primary: string;
      readonly file: string;
      readonly text: string;
      readonly values: Readonly<Record<string, string>>;
      readonly hook: readonly string[] | undefined;
    };
