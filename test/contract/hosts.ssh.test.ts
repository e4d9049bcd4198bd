import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { createSshHosts, type SshHosts } from '../../src/adapters/ssh/hosts.ts';
import type { SshConfig } from '../../src/config/model.ts';
import { ensureBuilt, PROGRAM } from '../harness/cli.ts';
import { TestSshd, writeProgram } from '../harness/sshd.ts';
import { base, hostsContract } from './hosts.contract.ts';

const NODE = 'replica-2';
const context = { signal: new AbortController().signal, timeoutMs: 60_000 };
const opened: SshHosts[] = [];
let sshd: TestSshd;
let root: string;

beforeAll(async () => {
  await ensureBuilt();
  sshd = await TestSshd.start(join(tmpdir(), 'sshd'));
  root = mkdtempSync(join(tmpdir(), 'host-'));
  writeProgram(join(root, 'pgbackrest'), `#!/bin/sh\ncase "$*" in *check*) exec sleep 300 ;; *version*) echo 'pgBackRest 2.45' ;; esac\n`);
  mkdirSync(join(root, 'data'));
  const node = { name: NODE, url: 'postgresql://postgres@127.0.0.1:1/postgres', dataDirectory: join(root, 'data') };
  const main = {
    nodes: [{ ...node, ssh: { host: 'nobody-asks.invalid' } }],
    repositories: [{ name: 'local', kind: 'local', path: join(root, 'repository') }],
    pgbackrest: { command: join(root, 'pgbackrest') },
    osUser: userInfo().username,
  };
  writeFileSync(join(root, 'config.yaml'), stringify({ stateDirectory: join(root, 'state'), clusters: { main } }));
});
afterEach(async () => {
  for (const hosts of opened.splice(0)) await hosts.close();
});
afterAll(async () => {
  await sshd.stop();
  rmSync(root, { recursive: true, force: true });
});

/** How spoke-backup is called on the host of the tests. */
function command(): readonly string[] {
  return ['env', `SPOKE_BACKUP_CONFIG=${join(root, 'config.yaml')}`, PROGRAM];
}

function hostsOf(changes: Partial<SshConfig> = {}, cluster = 'main', node = NODE): SshHosts {
  const ssh = { ...sshd.ssh, command: command(), ...changes };
  return createSshHosts({ runner: createProcessRunner(), cluster, places: new Map([[NODE, { ssh, node }]]) });
}

function open(...of: Parameters<typeof hostsOf>): SshHosts {
  const hosts = hostsOf(...of);
  opened.push(hosts);
  return hosts;
}

/** Has pgBackRest there do something that takes long. */
function longStep() {
  return { ...base('check-archiving', NODE), kind: 'check-archiving', node: NODE, timeoutMs: 300_000 };
}

/** Until the program there that takes long runs. */
async function untilItWorks(): Promise<void> {
  await expect.poll(() => sleeping(), { timeout: 20_000, interval: 50 }).toBe(1);
}

function sleeping(): number {
  return sshd.running('sleep 300').length;
}

hostsContract('sshd on the loopback interface', async () => {
  const hosts = hostsOf();
  const there = createInstanceReader({ runner: createProcessRunner() });
  return Promise.resolve({ hosts, there, node: NODE, root, owner: there.currentUser(), dispose: () => hosts.close() });
});

describe('a connection by ssh', () => {
  const look = (...of: Parameters<typeof hostsOf>) => open(...of).look(NODE, context);

  it('is one for all that is asked, and its agent ends with it', async () => {
    const hosts = hostsOf();
    const [one, other] = await Promise.all([hosts.look(NODE, context), hosts.look(NODE, context)]);
    await Promise.all([one.instance.findFreePort(), other.instance.findFreePort()]);
    expect(sshd.running('main.cjs agent ').length).toBe(1);
    await hosts.close();
    await expect.poll(() => sshd.sessions, { timeout: 10_000 }).toEqual([]);
  });

  it.each([
    ['a host key that is not known', { knownHostsFile: 'unknown' }, 'HOST_KEY_UNKNOWN', 'shows a key that is not among the known hosts'],
    [
      'another host key than the known one',
      { knownHostsFile: 'changed' },
      'HOST_KEY_UNKNOWN',
      'shows another key than the one that is known',
    ],
    ['a key that nobody authorized', { identityFile: 'stranger' }, 'HOST_DENIED', 'does not let us in'],
  ] as const)('refuses %s', async (_what, { ...files }, code, message) => {
    const ssh = Object.fromEntries(Object.entries(files).map(([key, file]) => [key, sshd.file(file)]));
    const thrown: unknown = await look(ssh).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code, exitCode: 22 });
    expect(String(thrown)).toContain(message);
  });

  it('says that a host cannot be reached', async () => {
    const free = await createInstanceReader({ runner: createProcessRunner() }).findFreePort();
    await expect(look({ port: free })).rejects.toMatchObject({ code: 'HOST_UNREACHABLE', retry: 'transient' });
    await expect(look({ host: 'no-such-host.invalid' })).rejects.toMatchObject({ code: 'HOST_UNREACHABLE' });
  });

  it('says that there is no spoke-backup', async () => {
    const thrown: unknown = await look({ command: ['/nonexistent/spoke-backup'] }).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'TOOL_MISSING' });
    expect(String(thrown)).toContain('/nonexistent/spoke-backup');
  });

  it('says that another version is there', async () => {
    const newer = writeProgram(
      join(root, 'newer'),
      `#!/bin/sh\nread line\necho '{"id":1,"result":{"protocol":99,"user":{"uid":0}}}'\ncat\n`,
    );
    await expect(look({ command: [newer] })).rejects.toMatchObject({ code: 'TOOL_UNSUPPORTED' });
    const older = writeProgram(join(root, 'older'), `#!/bin/sh\necho "error: unknown command 'agent'" >&2\nexit 2\n`);
    await expect(look({ command: [older] })).rejects.toMatchObject({ code: 'TOOL_UNSUPPORTED' });
  });

  it('says that the cluster, or the node, is not known there', async () => {
    for (const of of [{ cluster: 'other' }, { node: 'replica-9' }]) {
      const thrown: unknown = await look({}, of.cluster, of.node).catch((error: unknown) => error);
      expect(thrown).toMatchObject({ code: 'CONFIG_INVALID', exitCode: 10 });
    }
  });

  it('does not mind what the shell there says first', async () => {
    const noisy = writeProgram(join(root, 'noisy'), `#!/bin/sh\necho 'Welcome!'\nexec ${command().join(' ')} "$@"\n`);
    expect((await look({ command: [noisy] })).version).toMatch(/^\d/);
  });

  it('hands every word on as it is', async () => {
    const odd = writeProgram(join(root, `odd' $(touch ${'x'}) "name`), `#!/bin/sh\nexec ${command().join(' ')} "$@"\n`);
    expect((await look({ command: [odd] })).version).toMatch(/^\d/);
    expect(existsSync(join(userInfo().homedir, 'x'))).toBe(false);
  });

  it('works by a key that is good for nothing else', async () => {
    sshd.authorize('forced', `restrict,command="${command().join(' ')} agent --cluster main"`);
    const view = await look({ identityFile: sshd.file('forced'), command: ['rm', '-rf', root] });
    expect(await view.instance.listFiles(root)).toContain('config.yaml');
  });

  it('cancels what is under way with the signal, and nothing of it is left', async () => {
    const hosts = open();
    const controller = new AbortController();
    const step = hosts.runStep(longStep(), { signal: controller.signal, timeoutMs: 300_000 });
    const failed = expect(step).rejects.toThrow('enough');
    await untilItWorks();
    controller.abort(new Error('enough'));
    await failed;
    expect(sleeping()).toBe(0);
    // The connection is as good as before.
    expect(await (await hosts.look(NODE, context)).instance.findFreePort()).toBeGreaterThan(0);
  });

  it('that is cut ends what was under way there; whoever goes on connects anew, and waits until the other is gone', async () => {
    const hosts = open();
    const step = hosts.runStep(longStep(), context);
    const failed = expect(step).rejects.toMatchObject({ code: 'HOST_UNREACHABLE', retry: 'transient' });
    await untilItWorks();
    sshd.cut();
    await failed;
    const controller = new AbortController();
    const again = hosts.runStep(longStep(), { signal: controller.signal, timeoutMs: 300_000 });
    const cancelled = expect(again).rejects.toThrow('enough');
    await untilItWorks();
    controller.abort(new Error('enough'));
    await cancelled;
  });
});
