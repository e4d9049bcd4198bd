import { beforeEach, describe, expect, it } from 'vitest';
import { previewStep, renderPlan } from '../../../src/cli/render/plan.ts';
import { cancellation, runCli } from '../../../src/cli/run-cli.ts';
import type { StepHandlers } from '../../../src/engine/step-handler.ts';
import { planOf, step } from '../engine/machinery.ts';
import { captureOutput, startCapturing } from './captured.ts';

const printed = captureOutput();
beforeEach(() => startCapturing(printed));

const run = (...args: string[]) => runCli(args, { signal: new AbortController().signal, version: '0.1.0', root: '/' });
const COMMANDS = [
  'backup',
  'backups',
  'verify',
  'restore',
  'reseed',
  'status',
  'runs',
  'schedule',
  'notices',
  'setup',
  'config',
  'lab',
  'completion',
];

describe('the command line', () => {
  it('helps on stdout, names every command and the exit codes, and ends with 0', async () => {
    expect(await run('--help')).toBe(0);
    for (const command of COMMANDS) expect(printed.stdout).toContain(command);
    expect(printed.stdout).toContain('130, 143 cancelled');
    expect(printed.stderr).toBe('');
  });

  it.each(COMMANDS)('helps with %s', async (command) => {
    expect(await run(command, '--help')).toBe(0);
    expect(printed.stdout).toContain(`spoke-backup ${command}`);
  });

  it.each([
    ['a command that there is not', ['restor']],
    ['an option that there is not', ['restore', '--too', 'latest']],
    ['an option without its value', ['restore', '--to']],
  ])('takes %s for wrong usage', async (_what, args) => {
    expect(await run(...args)).toBe(2);
    expect(printed.stdout).toBe('');
    expect(printed.stderr).not.toBe('');
  });

  it('names the configuration file that it did not find', async () => {
    expect(await run('status', '--config', '/nowhere/config.yaml')).toBe(10);
    expect(printed.stderr).toContain('/nowhere/config.yaml');
    expect(printed.stderr).toContain('next:');
  });

  it('says the same as one JSON document with --json', async () => {
    expect(await run('status', '--json', '--config', '/nowhere/config.yaml')).toBe(10);
    expect(JSON.parse(printed.stdout)).toMatchObject({ schema: 1, error: { code: 'CONFIG_NOT_FOUND', exitCode: 10 } });
  });

  it.each(['bash', 'zsh', 'fish'])('prints what completes it in %s', async (shell) => {
    expect(await run('completion', shell)).toBe(0);
    for (const command of COMMANDS) expect(printed.stdout).toContain(command);
  });

  it('knows no other shell', async () => {
    expect(await run('completion', 'cmd')).toBe(2);
  });
});

describe('a signal of the operating system', () => {
  it.each([
    ['SIGINT', 'CANCELLED', 130],
    ['SIGTERM', 'TERMINATED', 143],
  ] as const)('%s cancels with exit code %s', (by, code, exitCode) => {
    const { signal, cancel } = cancellation();
    cancel(by);
    expect(signal.reason).toMatchObject({ code, exitCode });
  });
});

describe('a plan that is shown', () => {
  const handlers = {
    'create-repositories': {
      preview: () => [{ argv: ['mkdir', "/srv/it's here", '$(id)', 'plain/path'] }],
      run: () => Promise.resolve({}),
    },
  } as unknown as StepHandlers;

  it('quotes its commands so that a shell would take them as they are', () => {
    expect(renderPlan(planOf(step('one')), handlers, { full: true })).toContain(`$ mkdir '/srv/it'\\''s here' '$(id)' plain/path`);
  });

  it('numbers its steps, each with its effect, and ends with what one should know', () => {
    const plan = { ...planOf(step('one'), step('two', { effect: 'destructive' })), warnings: ['mind the gap'] };
    expect(renderPlan(plan, handlers, { full: false }).split('\n')).toEqual([
      ' 1. [write] do one',
      ' 2. [destructive] do two',
      expect.stringContaining('mind the gap'),
    ]);
    expect(previewStep(step('one'), handlers)).toHaveLength(1);
  });
});
