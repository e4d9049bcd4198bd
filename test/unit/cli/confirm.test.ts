import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { requireConfirmation } from '../../../src/cli/confirm.ts';
import { Output } from '../../../src/cli/output.ts';
import { SpokeError } from '../../../src/errors.ts';

const output = new Output({ json: false, quiet: false, verbose: false });
const NEVER = new AbortController().signal;

afterEach(() => {
  vi.restoreAllMocks();
});

/** A terminal in the place of stdin and stderr; gives what types on it. */
function terminal(): (keys: string) => void {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => stdin });
  const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  vi.spyOn(process, 'stderr', 'get').mockReturnValue(stderr as unknown as typeof process.stderr);
  return (keys) => void stderr.once('data', () => stdin.write(keys));
}

const ask = (options = {}, signal = NEVER, to = output) => requireConfirmation('Replacing /data', 'main', options, to, signal);

describe('a confirmation', () => {
  it('is given by --confirm with the name of the cluster', async () => {
    await expect(ask({ confirm: 'main' })).resolves.toBeUndefined();
  });

  it.each(['', 'Main', 'main ', 'other', 'yes'])('is not given by --confirm "%s"', async (confirm) => {
    await expect(ask({ confirm })).rejects.toMatchObject({
      code: 'CONFIRMATION_REQUIRED',
      exitCode: 12,
      message: expect.stringContaining('"main"'),
    });
  });

  it('is asked for where nobody can be asked, with the command that gives it', async () => {
    await expect(ask()).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED', hint: expect.stringContaining('--confirm main') });
  });

  it('is typed on a terminal', async () => {
    const type = terminal();
    type('main\n');
    await expect(ask()).resolves.toBeUndefined();
  });

  it('is not given by another word', async () => {
    const type = terminal();
    type('yes\n');
    await expect(ask()).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
  });

  it.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('is declined by %s, which is no bug', async (_name, key) => {
    const type = terminal();
    type(key);
    await expect(ask()).rejects.toMatchObject({ code: 'CANCELLED', exitCode: 130 });
  });

  it('ends with the program that is asked to end', async () => {
    const controller = new AbortController();
    terminal();
    const asked = ask({}, controller.signal);
    setImmediate(() => controller.abort(new SpokeError('TERMINATED', 'asked to end')));
    await expect(asked).rejects.toMatchObject({ code: 'TERMINATED', exitCode: 143 });
  });

  it('is never asked for in the middle of a JSON document', async () => {
    terminal();
    const json = new Output({ json: true, quiet: false, verbose: false });
    await expect(ask({}, NEVER, json)).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
  });
});
