import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { runCli as RunCli } from '../src/cli/run-cli.ts';
import { compiledFile, doubled, runBundle } from './compiled.ts';

/**
 * `node scripts/compile-ahead.ts <dist>` keeps the compiled code of the command line beside it. V8 compiles a function when it
 * is first called, and Node's own cache is made before any is: so a listing of backups is rehearsed first, with a pgBackRest that
 * only knows one answer. Without the result everything works as well, and starts later.
 */
async function compileAhead(dist: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'spoke-rehearsal-'));
  try {
    const config = rehearsalConfiguration(directory);
    for (const bundle of ['cli.cjs', 'backups.cjs']) await compileBundle(join(dist, bundle), config);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compileBundle(file: string, config: string): Promise<void> {
  const { script, exports } = runBundle(file, createRequire(file), undefined);
  const { runCli } = exports as { readonly runCli: typeof RunCli };
  const context = { signal: new AbortController().signal, version: '0', root: dirname(file) };
  for (const args of [['--json'], []]) {
    const exitCode = await runCli(['backups', '--config', config, ...args], context);
    if (exitCode !== 0) throw new Error(`rehearsing a listing of backups ended with ${exitCode}`);
  }
  const fresh = `${file}.new-${process.pid}`;
  writeFileSync(fresh, doubled(script.createCachedData()), { flush: true });
  renameSync(fresh, compiledFile(file));
}

/** A cluster with one node and one repository, of which pgBackRest has one backup to tell. */
function rehearsalConfiguration(directory: string): string {
  const backup = {
    label: '20261122-020003F',
    type: 'full',
    prior: null,
    reference: null,
    archive: { start: '000000010000000000000003', stop: '000000010000000000000003' },
    lsn: { start: '0/3000028', stop: '0/3000138' },
    timestamp: { start: 1795312803, stop: 1795312806 },
    info: { size: 23068672, delta: 23068672, repository: { delta: 2831155, size: 2831155 } },
    database: { id: 1, 'repo-key': 1 },
    error: false,
    annotation: { run: 'rehearsal' },
  };
  const ok = { code: 0, message: 'ok' };
  const answer = [
    {
      name: 'main',
      status: ok,
      db: [{ id: 1, 'repo-key': 1, 'system-id': 6569239123849665679, version: '15' }],
      repo: [1, 2].map((key) => ({ cipher: 'none', key, status: ok })),
      archive: [],
      backup: [backup],
    },
  ];
  const command = join(directory, 'pgbackrest');
  writeFileSync(command, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`, { mode: 0o755 });
  const config = join(directory, 'config.yaml');
  writeFileSync(
    config,
    `stateDirectory: ${directory}/state
clusters:
  main:
    pgbackrest:
      command: ${command}
    nodes:
      - name: one
        url: postgresql://backup@127.0.0.1:5432/postgres
        passwordFile: ${directory}/password
        dataDirectory: ${directory}
    repositories:
      - name: local
        kind: local
        path: ${directory}/repository
      - name: s3
        kind: s3
        bucket: bucket
        endpoint: s3.example
        region: here
        accessKey: \${env:PATH}
        secretKey: \${env:PATH}
`,
  );
  return config;
}

const [dist] = process.argv.slice(2);
if (dist === undefined) throw new Error('usage: node scripts/compile-ahead.ts <dist>');
await compileAhead(dist);
