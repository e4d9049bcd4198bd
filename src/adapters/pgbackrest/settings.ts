import type { RepositoryName } from '../../domain/catalog/base-backup.ts';

/** Everything that the generated configuration of pgBackRest is made of. Holds secrets: never printed. */
export interface PgbackrestSettings {
  readonly stanza: string;
  /** A path, or a name looked up in PATH. */
  readonly command: string;
  readonly processMax: number;
  readonly compressType: string;
  readonly compressLevel?: number;
  readonly lockPath: string;
  readonly spoolPath: string;
  readonly logPath: string;
  /** Where the generated file is written, 0600. */
  readonly configFile: string;
  readonly extraOptions: Readonly<Record<string, string>>;
  /** In the order of their keys. */
  readonly repositories: readonly RepositorySettings[];
  readonly postgres: readonly PostgresSettings[];
  /** Whom pgBackRest runs as where we are root: the owner of the data directory. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly name: string };
}

export interface PostgresSettings {
  readonly dataDirectory: string;
  readonly port: number;
  readonly socketDirectory?: string;
}

interface RepositorySettingsBase {
  readonly name: RepositoryName;
  /** pgBackRest's key: the N of repoN-… */
  readonly index: number;
  readonly retentionDays: number;
  readonly cipherPassphrase?: string;
}

export interface LocalRepositorySettings extends RepositorySettingsBase {
  readonly kind: 'local';
  readonly path: string;
}

export interface S3RepositorySettings extends RepositorySettingsBase {
  readonly kind: 's3';
  readonly bucket: string;
  readonly endpoint: string;
  readonly port?: number;
  readonly region: string;
  readonly pathPrefix: string;
  readonly uriStyle: 'path' | 'host';
  readonly caFile?: string;
  readonly verifyTls: boolean;
  readonly keyType: 'shared' | 'auto' | 'web-id';
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly sessionToken?: string;
  /** The key by which the service encrypts. */
  readonly kmsKeyId?: string;
}

export type RepositorySettings = LocalRepositorySettings | S3RepositorySettings;
