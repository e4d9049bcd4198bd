import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { outputOf } from './cli.ts';
import { freePort } from './free-port.ts';

const PATIENCE_MS = 15_000;
const SSHD = '/usr/sbin/sshd';
/** Where root's sshd locks away the part of it that speaks with strangers; the distribution makes it at boot. */
const PRIVILEGE_SEPARATION = '/run/sshd';

/** An sshd on a port of the loopback interface, with keys of its own: "another host" whose files are those of this one. */
export class TestSshd {
  readonly directory: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(directory: string, port: number, child: ChildProcess) {
    this.directory = directory;
    this.port = port;
    this.#child = child;
  }

  /** `directory`: absent; it is made. */
  static async start(directory: string): Promise<TestSshd> {
    mkdirSync(directory, { mode: 0o700 });
    if (process.getuid?.() === 0 && !existsSync(PRIVILEGE_SEPARATION)) mkdirSync(PRIVILEGE_SEPARATION, { mode: 0o755 });
    for (const name of ['host', 'client', 'forced', 'stranger'])
      await outputOf('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(directory, name)]);
    writeFileSync(join(directory, 'authorized'), readFileSync(join(directory, 'client.pub')), { mode: 0o600 });
    const port = await freePort();
    const key = (name: string) =>
      readFileSync(join(directory, `${name}.pub`), 'utf8')
        .split(' ')
        .slice(0, 2)
        .join(' ');
    writeFileSync(join(directory, 'known'), `[127.0.0.1]:${port} ${key('host')}\n`);
    writeFileSync(join(directory, 'changed'), `[127.0.0.1]:${port} ${key('stranger')}\n`);
    writeFileSync(join(directory, 'unknown'), '');
    writeFileSync(join(directory, 'config'), configuration(directory, port));
    const child = spawn(SSHD, ['-D', '-e', '-f', join(directory, 'config')], { stdio: 'ignore', cwd: directory });
    const sshd = new TestSshd(directory, port, child);
    await sshd.#untilItListens();
    return sshd;
  }

  /** Lets in whoever has that key, as authorized_keys(5) says with these options. */
  authorize(name: 'forced', options: string): void {
    appendFileSync(join(this.directory, 'authorized'), `${options} ${readFileSync(join(this.directory, `${name}.pub`), 'utf8')}`);
  }

  file(name: 'client' | 'forced' | 'stranger' | 'known' | 'changed' | 'unknown'): string {
    return join(this.directory, name);
  }

  /** Of the process that listens. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** As the configuration of a node has it. */
  get ssh() {
    return {
      host: '127.0.0.1',
      port: this.port,
      user: userInfo().username,
      identityFile: this.file('client'),
      knownHostsFile: this.file('known'),
    };
  }

  /** The processes that serve connections now. */
  get sessions(): readonly number[] {
    return descendantsOf(this.pid).filter((pid) => readText(`/proc/${pid}/comm`).startsWith('sshd'));
  }

  /** The processes in the sessions whose command line has these words. */
  running(words: string): readonly number[] {
    return descendantsOf(this.pid).filter((pid) => readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(words));
  }

  /** As if the cable had been cut, for whoever is connected. */
  cut(): void {
    for (const pid of this.sessions) killIfThere(pid, 'SIGKILL');
  }

  async stop(): Promise<void> {
    this.cut();
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #untilItListens(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`sshd ended with ${this.#child.exitCode}; see ${SSHD} -t`);
      try {
        await outputOf('ssh-keyscan', ['-T', '2', '-t', 'ed25519', '-p', String(this.port), '127.0.0.1']);
        return;
      } catch (thrown) {
        if (performance.now() > deadline) throw thrown;
        await delay(50);
      }
    }
  }
}

function configuration(directory: string, port: number): string {
  return `ListenAddress 127.0.0.1
Port ${port}
HostKey ${join(directory, 'host')}
AuthorizedKeysFile ${join(directory, 'authorized')}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
LogLevel ERROR
`;
}

/** The pids of the descendants of a process. */
function descendantsOf(pid: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    const stat = readText(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [...(children.get(pid) ?? [])];
  for (const one of found) found.push(...(children.get(one) ?? []));
  return found;
}

function killIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has gone.
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** An executable file. */
export function writeProgram(path: string, text: string): string {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}
