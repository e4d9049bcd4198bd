import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ifReadable } from './file-error.ts';

/** The mount points in /proc/self/mountinfo (proc(5)), with its octal escapes undone. */
export function parseMountPoints(mountinfo: string): readonly string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    return point === undefined
      ? []
      : [point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))];
  });
}

/** Undefined where the system has no such file. */
async function readMountPoints(): Promise<readonly string[] | undefined> {
  const text = await ifReadable(readFile('/proc/self/mountinfo', 'utf8'));
  return text === undefined ? undefined : parseMountPoints(text);
}

/** The mount point that an existing directory lies on: itself or an ancestor. */
export async function mountPointOf(realPath: string): Promise<string> {
  const known = await readMountPoints();
  const isMountPoint = known === undefined ? hasOtherDevice : (path: string) => Promise.resolve(known.includes(path));
  let path = realPath;
  while (path !== '/' && !(await isMountPoint(path))) path = dirname(path);
  return path;
}

/** Mount points inside a directory, itself excluded. */
export async function mountPointsBelow(realPath: string): Promise<readonly string[]> {
  const prefix = realPath === '/' ? '/' : `${realPath}/`;
  return ((await readMountPoints()) ?? []).filter((point) => point.startsWith(prefix) && point !== realPath);
}

async function hasOtherDevice(path: string): Promise<boolean> {
  const [own, parent] = await Promise.all([ifReadable(stat(path)), ifReadable(stat(dirname(path)))]);
  return own !== undefined && parent !== undefined && own.dev !== parent.dev;
}
