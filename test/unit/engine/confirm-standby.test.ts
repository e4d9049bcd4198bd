import { describe, expect, it } from 'vitest';
import { confirmStandby, confirmStoppedStandby } from '../../../src/engine/handlers/confirm-standby.ts';
import type { HandlerPorts } from '../../../src/engine/handlers/ports.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { ConfirmedStandby } from '../../../src/plan/reseed-steps.ts';
import type { ControlData, DirectoryFacts } from '../../../src/ports/instance.ts';
import { DATA, directory } from '../workflows/reseed-intent.ts';

const CLUSTER = '7000000000000000001';
const OTHER = '7000000000000000002';
const STANDBY: ConfirmedStandby = { node: 'c', dataDirectory: DATA, identity: '1:10', systemIdentifier: CLUSTER, primary: 'a' };
const RUNNING = { running: { evidence: 'postmaster.pid', pid: 7 } } as const;
const control = (systemIdentifier: string, state: string) => ({ systemIdentifier, state }) as unknown as ControlData;

interface Seen {
  readonly files?: Partial<DirectoryFacts>;
  /** What answers at the URL of the node; nobody where it is not given. */
  readonly own?: { readonly inRecovery: boolean; readonly systemIdentifier?: string };
  readonly primary?: { readonly inRecovery: boolean; readonly systemIdentifier?: string } | 'away';
}

/** Only what a look needs: whatever else were called would fail the test. */
function portsOf({ files, own, primary = { inRecovery: false } }: Seen): HandlerPorts {
  const answers = { a: primary === 'away' ? undefined : primary, c: own };
  return {
    instance: { inspectDirectory: () => Promise.resolve(directory(DATA, { identity: '1:10', ...files })) },
    access: { addressOf: (node: string) => Promise.resolve({ kind: 'url', url: node }) },
    postgres: {
      observeServer({ url }: { readonly url: 'a' | 'c' }) {
        const found = answers[url];
        if (found === undefined) return Promise.reject(new SpokeError('POSTGRES_UNAVAILABLE', 'connection refused'));
        return Promise.resolve({ systemIdentifier: CLUSTER, ...found });
      },
    },
  } as unknown as HandlerPorts;
}

const context = { signal: new AbortController().signal };
const codeOf = (seen: Seen, look = confirmStandby) =>
  look(portsOf(seen), STANDBY, context).then(
    () => 'confirmed',
    (thrown: unknown) => asSpokeError(thrown).code,
  );

describe('the look at a standby right before something of it is changed', () => {
  it.each<[string, Seen]>([
    ['runs as a standby', { files: RUNNING, own: { inRecovery: true } }],
    ['runs with standby.signal and does not answer', { files: { ...RUNNING, control: control(CLUSTER, 'in archive recovery') } }],
    ['is stopped', { files: { control: control(CLUSTER, 'shut down in recovery') } }],
    [
      'was a primary and is stopped while another one is it',
      { files: { hasStandbySignal: false, control: control(CLUSTER, 'shut down') } },
    ],
  ])('is content where it %s', async (_what, seen) => {
    expect(await codeOf(seen)).toBe('confirmed');
  });

  it.each<[string, Seen, string]>([
    ['says itself that it is a primary', { files: RUNNING, own: { inRecovery: false } }, 'REFUSED_PRECONDITION'],
    ['runs without standby.signal and does not answer', { files: { ...RUNNING, hasStandbySignal: false } }, 'REFUSED_PRECONDITION'],
    ['runs in production by its files', { files: { ...RUNNING, control: control(CLUSTER, 'in production') } }, 'REFUSED_PRECONDITION'],
    ['is stopped while a standby answers at its URL', { own: { inRecovery: true } }, 'REFUSED_PRECONDITION'],
    ['is stopped while a primary answers at its URL', { own: { inRecovery: false } }, 'REFUSED_PRECONDITION'],
    ['answers as another cluster', { files: RUNNING, own: { inRecovery: true, systemIdentifier: OTHER } }, 'REFUSED_WRONG_CLUSTER'],
    ['has the files of another cluster', { files: { control: control(OTHER, 'shut down') } }, 'REFUSED_WRONG_CLUSTER'],
    ['is another directory', { files: { identity: '1:11' } }, 'PLAN_STALE'],
    ['has lost its primary to a failover', { primary: { inRecovery: true } }, 'PLAN_STALE'],
    ['has a primary of another cluster', { primary: { inRecovery: false, systemIdentifier: OTHER } }, 'REFUSED_WRONG_CLUSTER'],
    ['has a primary that does not answer', { primary: 'away' }, 'POSTGRES_UNAVAILABLE'],
  ])('refuses where it %s', async (_what, seen, code) => {
    expect(await codeOf(seen)).toBe(code);
  });

  it('refuses what must not run and was started meanwhile', async () => {
    expect(await codeOf({ files: RUNNING, own: { inRecovery: true } }, confirmStoppedStandby)).toBe('REFUSED_SERVER_RUNNING');
    expect(await codeOf({}, confirmStoppedStandby)).toBe('confirmed');
  });
});
