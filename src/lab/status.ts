import { createConnection } from 'node:net';
import { join } from 'node:path';
import { isAlive, readDaemonRecords } from './daemon.ts';
import { requireLab, type LabFile, type LabNode } from './description.ts';
import { findLabProcesses } from './lab-processes.ts';

interface LabNodeStatus {
  readonly name: string;
  readonly port: number;
  /** Whether somebody listens on its unix socket. */
  readonly listening: boolean;
}

export interface LabStatus {
  readonly schema: 1;
  readonly directory: string;
  readonly state: LabFile['state'];
  readonly nodes: readonly LabNodeStatus[];
  /** Absent without an S3 repository. */
  readonly s3?: { readonly endpoint: string; readonly description: string; readonly listening: boolean };
  /** What `labDown` would end; of servers the postmasters only. */
  readonly processes: readonly { readonly pid: number; readonly name: string }[];
  /** Daemons that were started and have ended since. */
  readonly ended: readonly string[];
}

/** What runs in the lab. Throws USAGE where there is none. */
export async function labStatus(directory: string): Promise<LabStatus> {
  const lab = await requireLab(directory);
  const records = await readDaemonRecords(lab.directory);
  const alive = await Promise.all(records.map(isAlive));
  const processes = await findLabProcesses(lab.directory);
  return {
    schema: 1,
    directory: lab.directory,
    state: lab.state,
    nodes: await Promise.all([lab.primary, ...lab.standbys].map(nodeStatus)),
    ...(lab.s3 !== undefined && { s3: await s3Status(lab.s3) }),
    processes: processes.filter((each) => each.kind !== 'worker').map(({ pid, name }) => ({ pid, name })),
    ended: records.filter((_, index) => alive[index] === false).map((record) => record.name),
  };
}

async function nodeStatus(node: LabNode): Promise<LabNodeStatus> {
  const { name, port, socketDirectory } = node;
  return { name, port, listening: await isListening({ path: join(socketDirectory, `.s.PGSQL.${port}`) }) };
}

async function s3Status(s3: NonNullable<LabFile['s3']>): Promise<NonNullable<LabStatus['s3']>> {
  const { hostname, port } = new URL(s3.endpoint);
  const listening = await isListening({ host: hostname, port: port === '' ? 443 : Number(port) });
  return { endpoint: s3.endpoint, description: s3.description, listening };
}

const CONNECT_TIMEOUT_MS = 3_000;

function isListening(address: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(address);
    const answer = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => answer(false));
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
