import { chmodSync, chownSync, closeSync, mkdirSync, openSync, statfsSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from '../../harness/cli.ts';
import type { Lab } from '../../harness/lab.ts';

/** Why there can be none: for context.skip(). Undefined where there can. */
export const noTmpfs =
  process.getuid?.() === 0 && process.platform === 'linux' ? undefined : 'a small file system is mounted, which needs root on Linux';

/** A small file system of its own in a lab, in memory. It has to be taken away before the lab is. */
export class Tmpfs {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** `options` as mount(8) takes them: size=, nr_inodes=. */
  static async mount(lab: Lab, name: string, options: string): Promise<Tmpfs> {
    const path = join(lab.directory, name);
    mkdirSync(path);
    await outputOf('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
    chownSync(path, lab.owner.uid, lab.owner.gid);
    chmodSync(path, 0o700);
    return new Tmpfs(path);
  }

  /** Lets no more than so many files be made from now on. */
  async allowFiles(count: number): Promise<void> {
    const { files, ffree } = statfsSync(this.path);
    await this.#remount(`nr_inodes=${files - ffree + count}`);
  }

  /** As many files and bytes as anybody could want. */
  async widen(): Promise<void> {
    await this.#remount('nr_inodes=0,size=2g');
  }

  async #remount(options: string): Promise<void> {
    await outputOf('mount', ['-o', `remount,${options}`, this.path]);
  }

  /** Writes a file that takes all space; gives its path. */
  fill(): string {
    const path = join(this.path, 'filler');
    const file = openSync(path, 'w');
    const chunk = Buffer.alloc(1024 * 1024);
    try {
      for (;;) writeSync(file, chunk);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
    } finally {
      closeSync(file);
    }
    return path;
  }

  /** At once, also while a server that was just stopped has not quite left it. */
  async unmount(): Promise<void> {
    await outputOf('umount', ['--lazy', this.path]);
    await rm(this.path, { recursive: true });
  }
}
