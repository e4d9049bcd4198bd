import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { Ledger, readLedger } from './ledger.ts';

const cli = join(import.meta.dirname, '../bin/spoke-backup');
const ROWS = 200;

interface Lab {
  readonly directory: string;
  readonly config: string;
  readonly primary: { readonly url: string };
  readonly osUser: string;
}

interface Restored {
  readonly reached: { readonly time: string; readonly lsn: string };
  readonly durations: { readonly copySeconds: number; readonly replaySeconds: number; readonly totalSeconds: number };
  readonly backup: { readonly label: string; readonly repository: string; readonly type: string };
  readonly walSegments: number;
  readonly socketDirectory: string;
  readonly port: number;
  readonly dataDirectory: string;
}

/** The whole story on a disposable cluster: back up, break, restore to the second before, prove. */
async function main(): Promise<void> {
  const startedMs = performance.now();
  say('A primary, two standbys, a local and an S3 repository');
  const lab = await spoke<Lab>(['lab', 'up']);
  let told: Awaited<ReturnType<typeof story>>;
  try {
    process.env['SPOKE_BACKUP_CONFIG'] = lab.config;
    told = await story(lab);
  } finally {
    await spoke(['lab', 'down', '--dir', lab.directory]);
  }
  summary({ ...told, seconds: (performance.now() - startedMs) / 1000 });
}

async function story(lab: Lab) {
  const ledger = await Ledger.open(lab.primary.url);
  try {
    await ledger.commit(ROWS);
    say('Full backup into both repositories');
    await spoke(['backup', '--type', 'full']);
    await ledger.commit(ROWS);
    say('Incremental backup into both repositories');
    await spoke(['backup', '--type', 'incr']);
    const before = await ledger.commit(ROWS);
    const target = await ledger.serverMicros();
    await delay(50);
    say(`${ledger.entries.length} rows are committed and acknowledged. Now the accident: DROP TABLE ledger`);
    await ledger.query('DROP TABLE ledger');
    const targetText = new Date(Number(target / 1000n)).toISOString().replace('Z', `${String(target % 1000n).padStart(3, '0')}Z`);
    say(`Restore to the instant before, ${targetText}`);
    const restored = await spoke<Restored>(['restore', '--to', targetText, '--data-directory', `${lab.directory}/restored`]);
    const numbers = await readLedger({ host: restored.socketDirectory, port: restored.port, user: 'postgres' });
    return { before, restored, numbers, targetText };
  } finally {
    await ledger.close();
  }
}

function summary({
  before,
  restored,
  numbers,
  targetText,
  seconds,
}: {
  before: { n: number };
  restored: Restored;
  numbers: readonly number[];
  targetText: string;
  seconds: number;
}): void {
  const missing = Array.from({ length: before.n }, (_, index) => index + 1).filter((n) => !numbers.includes(n));
  const extra = numbers.filter((n) => n > before.n);
  if (missing.length > 0 || extra.length > 0)
    throw new Error(`the restore is wrong: ${missing.length} rows are missing, ${extra.length} are too many`);
  const { durations, backup } = restored;
  process.stdout.write(`
restored    ${restored.dataDirectory} from ${backup.label} (${backup.type}, repository ${backup.repository})
to          ${targetText}; last commit ${restored.reached.time}, LSN ${restored.reached.lsn}
took        ${durations.totalSeconds.toFixed(1)} s: copy ${durations.copySeconds.toFixed(1)} s, replay of ${restored.walSegments} WAL segments ${durations.replaySeconds.toFixed(1)} s
proven      ${numbers.length} of ${before.n} acknowledged rows are there, none missing, none from after
all in all  ${seconds.toFixed(0)} s, and nothing is left running

Next, on a cluster that stays:
  bin/spoke-backup lab up
  bin/spoke-backup restore --help
For your own: docs/config.example.yaml, then bin/spoke-backup config check and bin/spoke-backup setup archiving
`);
}

/** Runs the command as a user would, with its progress on stderr, and reads its JSON. */
async function spoke<T>(argv: readonly string[]): Promise<T> {
  process.stdout.write(`$ spoke-backup ${argv.join(' ')}\n`);
  const { stdout } = await execa(cli, [...argv, '--json'], { stdin: 'ignore', stderr: 'inherit' });
  return JSON.parse(stdout) as T;
}

function say(line: string): void {
  process.stdout.write(`\n== ${line}\n`);
}

await main();
