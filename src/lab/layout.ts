import { join } from 'node:path';
import { SpokeError } from '../errors.ts';
import type { LabNode } from './description.ts';

/** Where everything is in a lab directory. */
export interface LabLayout {
  readonly directory: string;
  readonly config: string;
  readonly stateDirectory: string;
  readonly repository: string;
  /** Lock and spool files of pgBackRest. */
  readonly pgbackrest: string;
  readonly secrets: string;
  readonly superuserPassword: string;
  readonly replicationPassword: string;
  readonly passwordFile: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly tls: string;
  readonly s3: string;
}

export function layoutOf(directory: string): LabLayout {
  const secrets = join(directory, 'secrets');
  return {
    directory,
    config: join(directory, 'config.yaml'),
    stateDirectory: join(directory, 'state'),
    repository: join(directory, 'repository'),
    pgbackrest: join(directory, 'pgbackrest'),
    secrets,
    superuserPassword: join(secrets, 'postgres-password'),
    replicationPassword: join(secrets, 'replicator-password'),
    passwordFile: join(secrets, 'pgpass'),
    accessKey: join(secrets, 's3-access-key'),
    secretKey: join(secrets, 's3-secret-key'),
    tls: join(directory, 'tls'),
    s3: join(directory, 's3'),
  };
}

export const SUPERUSER = 'postgres';
export const REPLICATION_ROLE = 'replicator';

/** Of sockaddr_un on Linux, the final NUL left out. */
const MAX_SOCKET_PATH_BYTES = 107;

/** The node called `name`. Throws USAGE where the directory is too deep for its unix socket. */
export function nodeOf(directory: string, name: string, port: number): LabNode {
  const home = join(directory, name);
  const socketDirectory = join(home, 'socket');
  const socket = join(socketDirectory, `.s.PGSQL.${port}`);
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES) {
    throw new SpokeError('USAGE', `${directory} is too long: the unix socket ${socket} may have ${MAX_SOCKET_PATH_BYTES} bytes at most.`, {
      hint: 'Choose a shorter --dir, for example /tmp/lab',
    });
  }
  const url = `postgresql://${SUPERUSER}@/postgres?host=${encodeURIComponent(socketDirectory)}&port=${port}`;
  return { name, url, dataDirectory: join(home, 'data'), port, socketDirectory, logFile: join(home, 'server.log') };
}

/** The parts of a node's home. */
export function nodeHome(node: LabNode): { readonly home: string; readonly tablespace: string } {
  const home = join(node.dataDirectory, '..');
  return { home, tablespace: join(home, 'tablespace') };
}

/** Slot names may hold lower-case letters, digits and underscores only. */
export function slotOf(node: LabNode): string {
  return node.name.replaceAll('-', '_');
}
