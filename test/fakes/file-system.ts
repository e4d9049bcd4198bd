import type { FileOwner } from '../../src/ports/instance.ts';

export interface FakeFile {
  readonly kind: 'file';
  content: string;
}

export interface FakeLink {
  readonly kind: 'link';
  readonly target: string;
}

export interface FakeDirectory {
  readonly kind: 'directory';
  /** device:inode */
  readonly identity: string;
  owner: FileOwner;
  readonly children: Map<string, FakeNode>;
}

export type FakeNode = FakeFile | FakeLink | FakeDirectory;

const ROOT_USER: FileOwner = { uid: 0, gid: 0, name: 'root' };

/** Directories with identities, in memory. All paths are absolute. */
export class FakeFileSystem {
  /** ext4 gives a new directory the inode number that was freed last; others count upwards. */
  readonly reusesInodes: boolean;
  readonly #freed: number[] = [];
  #nextInode = 1000;
  readonly root: FakeDirectory;

  constructor(options: { readonly reusesInodes: boolean }) {
    this.reusesInodes = options.reusesInodes;
    this.root = this.newDirectory(ROOT_USER);
  }

  newDirectory(owner: FileOwner): FakeDirectory {
    const inode = (this.reusesInodes ? this.#freed.pop() : undefined) ?? this.#nextInode++;
    return { kind: 'directory', identity: `8:${inode}`, owner, children: new Map() };
  }

  /** What is at a path itself. Links on the way are followed, one at its end is not. */
  lookAt(path: string): FakeNode | undefined {
    const names = namesOf(path);
    const last = names.pop();
    if (last === undefined) return this.root;
    return this.directory(`/${names.join('/')}`)?.children.get(last);
  }

  /** The directory at a path, links followed. */
  directory(path: string): FakeDirectory | undefined {
    let node: FakeNode = this.root;
    for (const name of namesOf(path)) {
      if (node.kind !== 'directory') return undefined;
      const child: FakeNode | undefined = node.children.get(name);
      const followed: FakeNode | undefined = child?.kind === 'link' ? this.directory(child.target) : child;
      if (followed === undefined) return undefined;
      node = followed;
    }
    return node.kind === 'directory' ? node : undefined;
  }

  readFile(path: string): string | undefined {
    const node = this.lookAt(path);
    return node?.kind === 'file' ? node.content : undefined;
  }

  writeFile(path: string, content: string): void {
    const [parent, name] = this.#place(path);
    parent.children.set(name, { kind: 'file', content });
  }

  link(path: string, target: string): void {
    const [parent, name] = this.#place(path);
    parent.children.set(name, { kind: 'link', target });
  }

  /** With its missing parents. */
  makeDirectory(path: string, owner: FileOwner = ROOT_USER): FakeDirectory {
    let directory = this.root;
    for (const name of namesOf(path)) {
      const child = directory.children.get(name);
      const found = child?.kind === 'link' ? this.directory(child.target) : child;
      if (found !== undefined && found.kind !== 'directory') throw new Error(`${path}: ${name} is no directory`);
      const next = found ?? this.newDirectory(owner);
      if (found === undefined) directory.children.set(name, next);
      directory = next;
    }
    return directory;
  }

  rename(from: string, to: string): void {
    const [source, sourceName] = this.#place(from);
    const [destination, destinationName] = this.#place(to);
    const node = source.children.get(sourceName);
    if (node === undefined) throw new Error(`${from} is not there`);
    const replaced = destination.children.get(destinationName);
    if (replaced?.kind === 'directory') this.#free(replaced);
    source.children.delete(sourceName);
    destination.children.set(destinationName, node);
  }

  remove(path: string): void {
    const [parent, name] = this.#place(path);
    const node = parent.children.get(name);
    if (node?.kind === 'directory') this.#freeAll(node);
    parent.children.delete(name);
  }

  list(path: string): readonly string[] {
    return [...(this.directory(path)?.children.keys() ?? [])].sort();
  }

  /** Where a data directory is by now; undefined where it is gone. */
  pathOf(identity: string): string | undefined {
    return this.dataDirectories().find(([, directory]) => directory.identity === identity)?.[0];
  }

  /** Every directory with a PG_VERSION in it. */
  dataDirectories(directory: FakeDirectory = this.root, path = ''): (readonly [path: string, directory: FakeDirectory])[] {
    if (directory.children.has('PG_VERSION')) return [[path, directory]];
    return [...directory.children].flatMap(([name, node]) =>
      node.kind === 'directory' ? this.dataDirectories(node, `${path}/${name}`) : [],
    );
  }

  *walk(directory: FakeDirectory = this.root, path = ''): Generator<readonly [path: string, node: FakeNode]> {
    for (const [name, node] of directory.children) {
      yield [`${path}/${name}`, node];
      if (node.kind === 'directory') yield* this.walk(node, `${path}/${name}`);
    }
  }

  #place(path: string): [parent: FakeDirectory, name: string] {
    const names = namesOf(path);
    const name = names.pop();
    const parent = this.directory(`/${names.join('/')}`);
    if (name === undefined || parent === undefined) throw new Error(`there is no directory for ${path}`);
    return [parent, name];
  }

  #freeAll(directory: FakeDirectory): void {
    for (const child of directory.children.values()) if (child.kind === 'directory') this.#freeAll(child);
    this.#free(directory);
  }

  #free(directory: FakeDirectory): void {
    this.#freed.push(Number(directory.identity.split(':')[1]));
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

/** A file below a directory, by its path in it. */
export function fileIn(directory: FakeDirectory, path: string): FakeFile | undefined {
  const node = nodeIn(directory, path);
  return node?.kind === 'file' ? node : undefined;
}

export function nodeIn(directory: FakeDirectory, path: string): FakeNode | undefined {
  let node: FakeNode | undefined = directory;
  for (const name of namesOf(path)) node = node?.kind === 'directory' ? node.children.get(name) : undefined;
  return node;
}
