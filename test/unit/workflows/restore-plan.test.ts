import { describe, expect, it } from 'vitest';
import { instantOfSeconds } from '../../../src/domain/time/instant.ts';
import type { SpokeError } from '../../../src/errors.ts';
import type { Plan } from '../../../src/plan/step.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { type Proof, type RestoreFacts, settledAutoConf } from '../../../src/workflows/restore/facts.ts';
import type { RestoreIntent } from '../../../src/workflows/restore/intent.ts';
import { restoreAreaFor } from '../../../src/workflows/restore/intent.ts';
import { planRestore } from '../../../src/workflows/restore/plan.ts';
import type { RestoreRequest } from '../../../src/workflows/restore/request.ts';
import { DATA_DIRECTORY, type FakeClusterSpec, NODE } from '../../fakes/cluster.ts';
import { BESIDE, sound } from './restore-world.ts';

const ABSENT: DirectoryFacts = {
  path: BESIDE,
  realPath: BESIDE,
  kind: 'absent',
  isSymbolicLink: false,
  isMountPoint: false,
  hasRecoverySignal: false,
  hasStandbySignal: false,
  hasPostgresqlConf: false,
  tablespaces: [],
  freeBytes: 10n ** 12n,
  fileSystem: '/',
  parentWritable: true,
};
const NOTHING: RestoreFacts = {
  data: ABSENT,
  settled: false,
  destination: ABSENT,
  outdated: [],
  areaExists: false,
  salvageable: [],
  salvaged: [],
  staged: [],
  walClosed: false,
  failed: [],
};
const RUNNING = { evidence: 'postmaster.pid', port: 50_000 } as const;

async function intentOf(changes: Partial<RestoreRequest> = {}, spec: Partial<FakeClusterSpec> = {}): Promise<RestoreIntent> {
  const { request, observed } = await sound(changes, spec);
  return decideRestore(request, observed);
}

const ids = (plan: Plan) => plan.steps.map((step) => step.id);
const plan = (intent: RestoreIntent, facts: Partial<RestoreFacts>) => ids(planRestore(intent, { ...NOTHING, ...facts }, 'run'));

function proofOf(intent: RestoreIntent, dataIdentity = '8:77'): Proof {
  const [first] = intent.candidates;
  if (first === undefined) throw new Error('an intent without a backup');
  const reached = { time: null, lsn: '0/5000000', xid: null, timeline: 1 };
  const backup = { repository: first.repository, label: first.label };
  return { reached, evidence: 'recovery stopping', backup, dataIdentity, provenAt: '2026-11-22T21:00:00.000000Z', walSegments: 3 };
}

/** The restored data in the place beside. */
async function data(intent: RestoreIntent, state: string, changes: Partial<DirectoryFacts> = {}): Promise<DirectoryFacts> {
  const { observed } = await sound({ destination: { kind: 'directory', path: DATA_DIRECTORY } }, { primary: 'stopped' });
  const { control } = observed.destination;
  if (control === undefined) throw new Error('no pg_control');
  return {
    ...ABSENT,
    path: intent.area.dataDirectory,
    kind: 'postgres',
    identity: '8:77',
    control: { ...control, state },
    hasRecoverySignal: true,
    ...changes,
  };
}

describe('the plan of a restore beside', () => {
  it('proves before it takes the place, and cleans up last', async () => {
    const intent = await intentOf({ target: { kind: 'xid', xid: 708n, inclusive: true } });
    expect(plan(intent, {})).toEqual([
      'close-wal-segment',
      'reserve-restore-area',
      'copy-backup',
      'start-isolated',
      'prove-target',
      'promote-isolated',
      'stop-isolated',
      'settle-configuration',
      'swap-data-directory',
      'start-restored',
      'confirm-restored',
      'release-restore-area',
    ]);
  });

  it('has exactly one destructive step where nothing is there: the commit point', async () => {
    const steps = planRestore(await intentOf(), NOTHING, 'run').steps;
    expect(steps.filter((step) => step.effect === 'destructive').map((step) => step.id)).toEqual(['swap-data-directory']);
  });

  it('gives every step a reason, a probe and a time limit', async () => {
    for (const step of planRestore(await intentOf(), NOTHING, 'run').steps) {
      expect(step.reason, step.id).not.toBe('');
      expect(step.probe, step.id).not.toBe('');
      expect(step.timeoutMs, step.id).toBeGreaterThan(0);
    }
  });

  it('promotes nothing at the end of the archive, where PostgreSQL does it itself, nor where it is to pause', async () => {
    expect(plan(await intentOf({ target: { kind: 'latest' } }), {})).not.toContain('promote-isolated');
    expect(plan(await intentOf({ target: { kind: 'immediate' }, targetAction: 'pause' }), {})).not.toContain('promote-isolated');
  });

  it('starts nothing with --no-start', async () => {
    const steps = plan(await intentOf({ start: false }), {});
    expect(steps).not.toContain('start-restored');
    expect(steps).not.toContain('confirm-restored');
  });

  it('asks no primary to close its segment where none answers', async () => {
    expect(plan(await intentOf({}, { primary: 'gone' }), {})).not.toContain('close-wal-segment');
  });

  it('needs the closed segment where the target lies past the archive, and not where it is archived', async () => {
    const closeStep = async (changes: Partial<RestoreRequest>) =>
      planRestore(await intentOf(changes), NOTHING, 'run').steps.find((step) => step.kind === 'close-wal-segment');
    expect((await closeStep({ target: { kind: 'latest' } }))?.onFailure).toBe('stop');
    const archived = { kind: 'time', time: instantOfSeconds(1_795_340_061), inclusive: true } as const;
    expect((await closeStep({ target: archived }))?.onFailure).toBe('continue');
    expect(await closeStep({ target: { kind: 'immediate' } })).toBeUndefined();
  });
});

describe('the plan of a restore in place', () => {
  const inPlace = { destination: { kind: 'in-place', node: NODE } } as const;
  const running: Partial<RestoreFacts> = { destination: { ...ABSENT, kind: 'postgres', identity: '8:5', running: RUNNING } };

  it('stops the server only once the target is proven, and keeps the old data', async () => {
    const steps = plan(await intentOf(inPlace), running);
    expect(steps.indexOf('stop-server')).toBeGreaterThan(steps.indexOf('prove-target'));
    expect(steps.indexOf('swap-data-directory')).toBe(steps.indexOf('stop-server') + 1);
    expect(steps).not.toContain('discard-old');
  });

  it('discards the old data last but for the place beside', async () => {
    expect(plan(await intentOf({ ...inPlace, discardOld: true }), running).slice(-3)).toEqual([
      'confirm-restored',
      'discard-old',
      'release-restore-area',
    ]);
  });

  it('discards by the identity that was confirmed, whatever lies there now', async () => {
    const intent = await intentOf({ ...inPlace, discardOld: true });
    const steps = planRestore(intent, { ...NOTHING, ...running, old: { ...ABSENT, kind: 'postgres', identity: '8:666' } }, 'run').steps;
    expect(steps.find((step) => step.kind === 'discard-old')).toMatchObject({ identity: intent.destinationIdentity });
  });

  it('copies WAL of a stopped server that was never archived', async () => {
    const intent = await intentOf(inPlace, { primary: 'crashed' });
    const salvageable = ['000000010000000000000001', '0000000100000000000000FF', '00000002.history', 'archive_status'];
    const step = planRestore(intent, { ...NOTHING, salvageable }, 'run').steps.find((one) => one.kind === 'salvage-wal');
    expect(step).toMatchObject({ files: ['0000000100000000000000FF', '00000002.history'], fromDirectory: `${DATA_DIRECTORY}/pg_wal` });
  });
});

describe('planning a restore again', () => {
  it('completes a copy that was interrupted', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const half = { ...ABSENT, kind: 'other', identity: '8:77' } as const;
    const { steps } = planRestore(intent, { ...NOTHING, reservedFor: proofOf(intent).backup, data: half, walClosed: true }, 'run');
    expect(steps[0]).toMatchObject({ kind: 'copy-backup', resume: true });
  });

  it('goes on watching a server that still replays', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const facts = { reservedFor: proofOf(intent).backup, data: await data(intent, 'in archive recovery', { running: RUNNING }) };
    expect(plan(intent, facts).slice(0, 2)).toEqual(['prove-target', 'promote-isolated']);
  });

  it('proves once more what was proven of a server that was stopped before it was promoted', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const facts = { reservedFor: proof.backup, proof, journalledProof: proof, data: await data(intent, 'in archive recovery') };
    expect(plan(intent, facts).slice(0, 3)).toEqual(['start-isolated', 'prove-target', 'promote-isolated']);
  });

  it('promotes a proven server that still waits, without proving it again', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const waiting = await data(intent, 'in archive recovery', { running: RUNNING });
    expect(plan(intent, { reservedFor: proof.backup, proof, journalledProof: proof, data: waiting })[0]).toBe('promote-isolated');
  });

  it('does not take the proof of another backup or of another directory for its own', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const waiting = await data(intent, 'in archive recovery', { running: RUNNING });
    for (const other of [
      { ...proof, dataIdentity: '8:1' },
      { ...proof, backup: { ...proof.backup, label: 'other' as never } },
    ])
      expect(plan(intent, { reservedFor: proof.backup, proof: other, data: waiting })[0]).toBe('prove-target');
  });

  it('begins again where recovery ended unseen', async () => {
    const intent = await intentOf({ target: { kind: 'latest' } });
    const facts = {
      reservedFor: proofOf(intent).backup,
      data: await data(intent, 'in production', { hasRecoverySignal: false }),
      walClosed: true,
    };
    expect(plan(intent, facts).slice(0, 3)).toEqual(['clear-restore-area', 'reserve-restore-area', 'copy-backup']);
  });

  it('clears the place of a backup that failed and takes the next one', async () => {
    const only = await intentOf({ target: { kind: 'immediate' } });
    const second = { ...only.candidates[0], label: 'second' as never } as RestoreIntent['candidates'][number];
    const intent = { ...only, candidates: [...only.candidates, second] };
    const { backup } = proofOf(only);
    const facts = { reservedFor: backup, failed: [backup], data: await data(intent, 'in archive recovery'), walClosed: true };
    const { steps } = planRestore(intent, { ...NOTHING, ...facts }, 'run');
    expect(ids({ steps, warnings: [] }).slice(0, 4)).toEqual([
      'clear-restore-area',
      'reserve-restore-area',
      'copy-backup',
      'start-isolated',
    ]);
    expect(steps.find((step) => step.kind === 'copy-backup')).toMatchObject({ backup: { label: 'second' }, resume: false });
  });

  it('finishes the swap after the first of its two renames', async () => {
    const intent = await intentOf({ destination: { kind: 'in-place', node: NODE }, target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const down = await data(intent, 'shut down', { hasRecoverySignal: false });
    const old = { ...ABSENT, kind: 'postgres', identity: intent.destinationIdentity ?? '' } as const;
    const facts = { reservedFor: proof.backup, proof, journalledProof: proof, data: down, settled: true, old };
    const { steps } = planRestore(intent, { ...NOTHING, ...facts }, 'run');
    expect(steps[0]).toMatchObject({ kind: 'swap-data-directory', destinationIdentity: undefined });
  });

  it('recognises the restored data in its place, by the journal alone', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const inPlace = { ...ABSENT, kind: 'postgres', identity: proof.dataIdentity, running: RUNNING } as const;
    expect(plan(intent, { journalledProof: proof, destination: inPlace })).toEqual(['confirm-restored']);
  });

  it('writes the proof into the journal before the place beside goes', async () => {
    const intent = await intentOf({ target: { kind: 'immediate' } });
    const proof = proofOf(intent);
    const inPlace = { ...ABSENT, kind: 'postgres', identity: proof.dataIdentity, running: RUNNING } as const;
    expect(plan(intent, { proof, destination: inPlace, areaExists: true })).toEqual([
      'prove-target',
      'confirm-restored',
      'release-restore-area',
    ]);
  });

  it('has no backup left once all have failed, and says so', async () => {
    const intent = await intentOf();
    const failed = intent.candidates.map(({ repository, label }) => ({ repository, label }));
    let thrown: unknown;
    try {
      plan(intent, { failed });
    } catch (error) {
      thrown = error;
    }
    expect((thrown as SpokeError).exitCode).toBe(13);
  });
});

describe('postgresql.auto.conf of a restored copy', () => {
  const conf = "work_mem = '8MB'\nrestore_command = 'x'\nrecovery_target_time = '2026-11-22 14:05:00+00'\nprimary_conninfo = 'host=old'\n";

  it('keeps what is not of the recovery', () => {
    expect(settledAutoConf(conf, false, 'keep')).toBe("work_mem = '8MB'\n");
  });

  it('ends with archiving off in a copy, and settling it again changes nothing', () => {
    const settled = settledAutoConf(conf, false, 'off');
    expect(settled).toBe("work_mem = '8MB'\narchive_mode = 'off'\n");
    expect(settledAutoConf(settled, false, 'off')).toBe(settled);
    expect(settledAutoConf('work_mem = 1', false, 'off')).toBe("work_mem = 1\narchive_mode = 'off'\n");
  });

  it('keeps the target of a server that is to stay at it', () => {
    expect(settledAutoConf(conf, true, 'keep')).toBe(conf);
  });
});

describe('the place beside', () => {
  it('has the same parent as the data directory, so that the swap is a rename', () => {
    expect(restoreAreaFor('/var/lib/data', 'abc').dataDirectory).toBe('/var/lib/.spoke-restore-abc/data');
    expect(restoreAreaFor('/data', 'abc').root).toBe('/.spoke-restore-abc');
  });

  it('keeps the path of its socket below the 107 bytes that a socket may have', () => {
    for (const length of [1, 40, 60, 80, 200]) {
      const { socketDirectory } = restoreAreaFor(`/${'ä'.repeat(length)}/data`, 'k3f9zz');
      expect(new TextEncoder().encode(`${socketDirectory}/.s.PGSQL.65535`).length).toBeLessThanOrEqual(107);
    }
  });
});
