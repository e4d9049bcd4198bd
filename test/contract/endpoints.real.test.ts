import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEndpoints } from '../../src/adapters/endpoints/endpoints.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';

const values = { SPOKE_POSTGRES_URL: 'postgresql://10.0.1.10:5432/app', SPOKE_POSTGRES_REPLICA_URLS: '' };
const context = { signal: new AbortController().signal };

describe('the file of endpoints', () => {
  const endpoints = createEndpoints({ runner: createProcessRunner() });
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'endpoints'));
    file = join(directory, 'endpoints.env');
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('is current once it was written, and leaves nothing else behind', async () => {
    expect(await endpoints.isCurrent(file, 'A=1\n')).toBe(false);
    await endpoints.publish({ file, text: 'A=1\n', values }, context);
    expect(await endpoints.isCurrent(file, 'A=1\n')).toBe(true);
    expect(await endpoints.isCurrent(file, 'A=2\n')).toBe(false);
    expect(await readdir(directory)).toEqual(['endpoints.env']);
  });

  it('is there before the hook is told, which has the new values in its environment', async () => {
    const hook = ['/bin/sh', '-c', `cat '${file}' > '${directory}/seen'; echo "$SPOKE_POSTGRES_URL" >> '${directory}/seen'`];
    await endpoints.publish({ file, text: 'A=1\n', values, hook }, context);
    expect(await readFile(join(directory, 'seen'), 'utf8')).toBe('A=1\npostgresql://10.0.1.10:5432/app\n');
    expect(await endpoints.isCurrent(file, 'A=1\n')).toBe(true);
  });

  it('is not current while its hook has failed, and is once it was told after all', async () => {
    const failing = { file, text: 'A=1\n', values, hook: ['/bin/sh', '-c', 'exit 7'] };
    await expect(endpoints.publish(failing, context)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
    expect(await endpoints.isCurrent(file, 'A=1\n')).toBe(false);
    await endpoints.publish({ ...failing, hook: ['/bin/true'] }, context);
    expect(await endpoints.isCurrent(file, 'A=1\n')).toBe(true);
  });
});
