import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { useLab } from '../harness/lab.ts';
import { JournalWatch } from './support/journal.ts';
import { expectNothingElseRuns } from './support/processes.ts';
import { RunningTool, runTool } from './support/tool.ts';

const BACKUP = ['backup', '--type', 'full', '--repo', 's3'];

describe('two hosts with one configuration', () => {
  const lab = useLab({ bundle: true });

  beforeAll(async () => {
    const { config } = lab().description;
    const document = parseDocument(await readFile(config, 'utf8'));
    document.setIn(['clusters', 'lab', 'multiHost'], { repository: 's3', leaseSeconds: 20 });
    await writeFile(config, document.toString());
    // The owner of the data directory reads the configuration of pgBackRest in it.
    const stateDirectory = join(lab().directory, 'other-host');
    await mkdir(stateDirectory);
    await chmod(stateDirectory, 0o711);
  });

  /** A host knows nothing of another but what lies in the bucket. */
  const otherHost = (...argv: string[]) => [...argv, '--state-directory', join(lab().directory, 'other-host')];

  /** A backup that has begun, and the name of its run. */
  async function begin(): Promise<{ readonly tool: RunningTool; readonly run: string }> {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool([...BACKUP, '--json'], { config: lab().description.config });
    return { tool, run: await watch.stepBegun('take-backup:s3', tool) };
  }

  test('find that their bucket can hold leases, and the trial leaves nothing behind', async () => {
    const result = await runTool(['config', 'check', '--online', '--json'], { config: lab().description.config });
    expect(JSON.parse(result.stdout)).toMatchObject({ ok: true });
    expect(await lab().repositoryFiles(2, 'spoke-backup/lab')).toEqual(['.']);
  });

  test('do not back up into one repository at once: the second is told who is at it', async () => {
    const { tool, run } = await begin();
    const error = await lab().error(...otherHost(...BACKUP));
    expect(error).toMatchObject({ code: 'LOCKED', exitCode: 11, details: { runId: run, pid: tool.pid, verb: 'backup' } });
    expect(error.message).toContain(`lab is in use by the run ${run}`);
    expect((await tool.ended).exitCode).toBe(0);
  });

  test('queue with --wait, and say for whom', async () => {
    const { tool, run } = await begin();
    const { document, stderr } = await lab().spoke(...otherHost(...BACKUP, '--wait', '5m'));
    expect((await tool.ended).exitCode).toBe(0);
    expect(document).toMatchObject({ backups: [{ repository: 's3' }], failures: [] });
    expect(stderr).toContain(`waiting: lab is in use by the run ${run}`);
    await expectNothingElseRuns(lab());
  });

  test('go on after the death of the other', async () => {
    const { tool } = await begin();
    process.kill(tool.pid, 'SIGKILL');
    await tool.ended;
    expect(await lab().json(...otherHost(...BACKUP, '--wait', '2m'))).toMatchObject({ backups: [{ repository: 's3' }] });
    await expectNothingElseRuns(lab());
  });

  test('say what they lack where the bucket cannot be reached, and begin nothing', async () => {
    const { config } = lab().description;
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace(/^( +port: )\d+(\n +region:)/m, '$19$2'));
    try {
      const checked = await runTool(['config', 'check', '--online', '--json'], { config });
      expect(checked.exitCode).toBe(10);
      expect(JSON.parse(checked.stdout)).toMatchObject({
        ok: false,
        findings: [{ path: 'clusters.lab.multiHost' }, { path: 'clusters.lab.repositories[1]' }],
      });
      expect(await lab().error('backup', '--repo', 'local')).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
    } finally {
      await writeFile(config, text);
    }
  });
});
