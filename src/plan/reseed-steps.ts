import type { PinnedBackup, RestoreArea, TablespaceMapping } from './restore-area.ts';
import type { FileOwner } from '../ports/instance.ts';
import type { ServiceManager } from '../ports/service-control.ts';

/** What is about to be seeded, and what must still be so whenever something of it is changed. */
export interface ConfirmedStandby {
  readonly node: string;
  readonly dataDirectory: string;
  /** device:inode of the data directory; undefined where there is none (any more). */
  readonly identity: string | undefined;
  readonly systemIdentifier: string;
  /** Who must be the primary. */
  readonly primary: string;
}

/** Steps that bring a standby back. None of them holds a secret: connection strings name a passfile. */
export type ReseedStep =
  | {
      readonly kind: 'stop-standby';
      readonly standby: ConfirmedStandby;
      readonly postgresMajor: number;
      readonly owner: FileOwner;
      readonly service: ServiceManager;
    }
  /** Drops the slot where it is lost or invalid, and makes it where it is not there. */
  | { readonly kind: 'renew-slot'; readonly node: string; readonly slot: string; readonly systemIdentifier: string }
  | {
      readonly kind: 'reserve-reseed';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      readonly owner: FileOwner;
      readonly runId: string;
    }
  | {
      readonly kind: 'rewind-standby';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      readonly owner: FileOwner;
      readonly postgresMajor: number;
      readonly conninfo: string;
      /** Where postgresql.conf is not in the data directory. */
      readonly configFile: string | undefined;
      /** The repository that WAL is fetched from which is no longer in pg_wal; undefined: from none. */
      readonly restoreFrom: string | undefined;
    }
  | {
      readonly kind: 'restore-standby';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      readonly owner: FileOwner;
      readonly backup: PinnedBackup;
      /** `data directory`: over what is there (delta); `beside`: in the area. */
      readonly into: 'data directory' | 'beside';
      readonly tablespaceMap: readonly TablespaceMapping[];
    }
  | {
      readonly kind: 'copy-standby';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      readonly owner: FileOwner;
      readonly postgresMajor: number;
      readonly conninfo: string;
      /** Undefined where the source is not the server that has the slot. */
      readonly slot: string | undefined;
    }
  | {
      readonly kind: 'configure-standby';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      readonly owner: FileOwner;
      readonly into: 'data directory' | 'beside';
      readonly settings: Readonly<Record<string, string>>;
      readonly restoreFrom: string | undefined;
    }
  | {
      readonly kind: 'swap-standby';
      readonly standby: ConfirmedStandby;
      readonly area: RestoreArea;
      /** Where what is there now goes; undefined where nothing is there. */
      readonly oldDataDirectory: string | undefined;
    }
  | {
      readonly kind: 'await-streaming';
      readonly node: string;
      /** Where its server runs, on its host. */
      readonly dataDirectory: string;
      readonly primary: string;
      readonly slot: string;
      readonly systemIdentifier: string;
      /** Decimal digits. */
      readonly maxLagBytes: string;
      /** Without any progress. */
      readonly patienceMs: number;
    };
