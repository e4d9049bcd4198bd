import { parseVersionFile, versionText } from '../../domain/postgres/version-file.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { HandlerPorts } from './ports.ts';

const MOST_BYTES = 1024 * 1024;

/**
 * A postmaster refuses to start where this is not less than max_connections, and says so; a server in single-user mode does not look at it.
 * Source: PostmasterMain, "Check for invalid combinations of GUC settings".
 */
const CLOSED = "superuser_reserved_connections = '262143' # spoke-backup: being rewound, not to be started";

/** The files of the data directory that is rewound. */
export interface Rewound {
  readonly dataDirectory: string;
  readonly owner: FileOwner;
}

/**
 * Lets pg_rewind finish the recovery of a server that crashed. It does so in single-user mode, which PostgreSQL refuses with standby.signal:
 * that goes, after the directory was closed to every postmaster, or whoever starts it meanwhile would have a second primary.
 */
export async function closeForRewind(ports: HandlerPorts, { dataDirectory, owner }: Rewound): Promise<void> {
  const path = `${dataDirectory}/postgresql.auto.conf`;
  const present = withoutClosing(await ports.instance.readFileTail(path, MOST_BYTES));
  await ports.instanceControl.writeFileDurably(
    path,
    `${present}${present === '' || present.endsWith('\n') ? '' : '\n'}${CLOSED}\n`,
    owner,
    0o600,
  );
  await ports.instanceControl.removeFileDurably(`${dataDirectory}/standby.signal`);
}

/**
 * The signal file first, then the settings, PG_VERSION last: pg_rewind leaves all as they are where it finds nothing to rewind; else it has
 * brought the primary's settings, and PG_VERSION has kept postmasters away since.
 */
export async function openAfterRewind(ports: HandlerPorts, { dataDirectory, owner }: Rewound): Promise<void> {
  const path = `${dataDirectory}/postgresql.auto.conf`;
  await ports.instanceControl.writeFileDurably(`${dataDirectory}/standby.signal`, '', owner, 0o600);
  const present = await ports.instance.readFileTail(path, MOST_BYTES);
  const text = withoutClosing(present);
  if (text !== present) await ports.instanceControl.writeFileDurably(path, text, owner, 0o600);
  const versionPath = `${dataDirectory}/PG_VERSION`;
  const version = parseVersionFile(await ports.instance.readFileTail(versionPath, MOST_BYTES));
  if (version?.isClosed === true)
    await ports.instanceControl.writeFileDurably(versionPath, versionText(version.postgresMajor), owner, 0o600);
}

function withoutClosing(text: string): string {
  return text
    .split('\n')
    .filter((line) => line !== CLOSED)
    .join('\n');
}
