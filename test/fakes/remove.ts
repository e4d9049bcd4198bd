import type { FakeDirectory, FakeFileSystem } from './file-system.ts';

/**
 * What is left where the removal of a tree was cut off in the middle: its own pg_control goes first, the rest in whatever
 * order the file system lists it; here the worst one, in which a pg_control further down stays longest.
 */
export function removeHalf(fs: FakeFileSystem, path: string): void {
  const top = fs.directory(path);
  if (top === undefined) return;
  const global = top.children.get('global');
  if (global?.kind === 'directory') global.children.delete('pg_control');
  const paths = leavesOf(fs, top, path).sort((left, right) => Number(left.includes('pg_control')) - Number(right.includes('pg_control')));
  for (const leaf of paths.slice(0, Math.ceil(paths.length / 2))) fs.remove(leaf);
}

function leavesOf(fs: FakeFileSystem, directory: FakeDirectory, path: string): string[] {
  return [...fs.walk(directory, path)].flatMap(([leaf, node]) => (node.kind === 'directory' && node.children.size > 0 ? [] : [leaf]));
}
