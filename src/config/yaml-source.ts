import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Alias, Document, Node, YAMLMap } from 'yaml';

/** Counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type ConfigPath = readonly (string | number)[];

/** Something wrong in a YAML file. Its message never quotes a value: a value may be a secret in the wrong place. */
export interface Problem {
  readonly path: ConfigPath;
  readonly message: string;
  /** What comes after the position: `did you mean "retention"?` */
  readonly help?: string;
  readonly position?: Position;
}

/** Where a value stands, and where its children stand. A key's position where there is a key. */
interface Marker {
  readonly position: Position;
  readonly children: Map<string, Marker>;
}

/** A YAML document as plain data, with the position of everything in it. */
export interface YamlSource {
  readonly tree: unknown;
  readonly problems: readonly Problem[];
  /** Where that path was written; undefined where it was not. */
  locate(path: ConfigPath): Position | undefined;
  /** Where it, or the nearest thing around it, was written. */
  locateNearest(path: ConfigPath): Position;
}

/** The position of an offset of the text. */
type PositionOf = (offset: number | undefined) => Position;

const MAX_NODES = 50_000;
const REFUSED_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const NO_ANCHOR = 'an alias (*name) without an anchor (&name) before it; a value that begins with * must stand in quotes';

/** What the parser's codes mean. Its own messages are not shown because some quote the text. */
const SYNTAX_PROBLEMS: Readonly<Record<string, string>> = {
  BAD_ALIAS: NO_ANCHOR,
  BAD_DQ_ESCAPE: 'an unknown escape in double quotes; use single quotes for text with backslashes',
  BAD_INDENT: 'wrong indentation',
  BAD_SCALAR_START: 'a value that begins with a reserved character must stand in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a nested mapping on one line; is a space, a quote or a line break missing?',
  MISSING_CHAR: 'a character is missing here: a closing quote or bracket, a comma, or the colon after a key',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line; is the colon missing?',
  MULTIPLE_DOCS: 'the file must be one document, without ---',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'indentation by tabs; use spaces',
  TAG_RESOLVE_FAILED: 'a tag (!name) that is not known; a value that begins with ! must stand in quotes',
};

/** Parses YAML. Aliases and merge keys are resolved; whatever is wrong is in `problems`, all of it. */
export function parseYaml(text: string): YamlSource {
  const lines = new LineCounter();
  const at = (offset: number | undefined): Position => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const root: Marker = { position: { line: 1, column: 1 }, children: new Map() };
  const find = (path: ConfigPath, nearest: boolean): Position | undefined => {
    let marker = root;
    for (const key of path) {
      const child = marker.children.get(String(key));
      if (child === undefined) return nearest ? marker.position : undefined;
      marker = child;
    }
    return marker.position;
  };
  const { tree, problems } = readDocument(text, lines, at, root);
  return {
    tree,
    problems,
    locate: (path) => find(path, false),
    locateNearest: (path) => find(path, true) ?? root.position,
  };
}

function readDocument(text: string, lines: LineCounter, at: PositionOf, root: Marker): { tree: unknown; problems: Problem[] } {
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, uniqueKeys: false });
  } catch {
    return { tree: undefined, problems: [{ path: [], message: 'nested too deeply' }] };
  }
  const problems: Problem[] = [...document.errors, ...document.warnings].map((fault) => ({
    path: [],
    message: SYNTAX_PROBLEMS[fault.code] ?? `not valid YAML (${fault.code})`,
    position: at(fault.pos[0]),
  }));
  if (problems.length > 0) return { tree: undefined, problems };
  const walker = new Walker(collectAnchors(document, at, problems), at, problems);
  return { tree: walker.read(document.contents, [], root), problems };
}

/** In one pass: the parser's own look-up would pass over the whole document for each alias. */
function collectAnchors(document: Document.Parsed, at: PositionOf, problems: Problem[]): ReadonlyMap<string, Node> {
  const anchors = new Map<string, Node>();
  visit(document, {
    Value(_key, node) {
      if (node.anchor === undefined) return;
      if (anchors.has(node.anchor)) {
        problems.push({ path: [], message: 'an anchor (&name) that is there twice', position: at(node.range?.[0]) });
      }
      anchors.set(node.anchor, node);
    },
  });
  return anchors;
}

/** Turns nodes into plain data and notes where each stands. */
class Walker {
  #nodes = 0;
  readonly #open = new Set<Node>();
  readonly #anchors: ReadonlyMap<string, Node>;
  readonly #at: PositionOf;
  readonly #problems: Problem[];

  constructor(anchors: ReadonlyMap<string, Node>, at: PositionOf, problems: Problem[]) {
    this.#anchors = anchors;
    this.#at = at;
    this.#problems = problems;
  }

  read(node: Node | null | undefined, path: ConfigPath, marker: Marker): unknown {
    if (node === null || node === undefined) return null;
    this.#nodes += 1;
    if (this.#nodes === MAX_NODES) this.#problem(path, `more than ${MAX_NODES} values (do aliases multiply?)`, node);
    if (this.#nodes >= MAX_NODES) return null;
    if (isScalar(node)) return node.value;
    if (isAlias(node)) return this.read(this.#resolve(node, path), path, marker);
    this.#open.add(node);
    try {
      if (isSeq(node)) return node.items.map((item, index) => this.#child(item as Node | null, index, path, marker, undefined));
      if (isMap(node)) return this.#readMap(node, path, marker);
      return null;
    } finally {
      this.#open.delete(node);
    }
  }

  /** What the alias stands for; undefined, with a problem, where there is nothing or it would never end. */
  #resolve(alias: Alias, path: ConfigPath): Node | undefined {
    const target = this.#anchors.get(alias.source);
    const isBefore = (target?.range?.[0] ?? 0) < (alias.range?.[0] ?? 0);
    if (target !== undefined && isBefore && !this.#open.has(target)) return target;
    const problem = target !== undefined && isBefore ? 'an alias to something around it' : NO_ANCHOR;
    this.#problem(path, problem, alias);
    return undefined;
  }

  #child(node: Node | null, key: string | number, path: ConfigPath, marker: Marker, keyNode: Node | undefined): unknown {
    const range = keyNode?.range ?? node?.range;
    const child: Marker = { position: range ? this.#at(range[0]) : marker.position, children: new Map() };
    marker.children.set(String(key), child);
    return this.read(node, [...path, key], child);
  }

  #readMap(map: YAMLMap, path: ConfigPath, marker: Marker): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const merged: Node[] = [];
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null;
      const value = pair.value as Node | null;
      const key = isScalar(keyNode) ? keyNode.value : undefined;
      if (isMergeKey(key)) {
        if (value !== null) merged.push(value);
      } else if (!isScalar(keyNode) || (typeof key !== 'string' && typeof key !== 'number')) {
        this.#problem(path, 'a key must be text', keyNode ?? map);
      } else if (REFUSED_KEYS.has(String(key))) {
        this.#problem([...path, String(key)], `the key "${String(key)}" is not allowed`, keyNode);
      } else if (Object.hasOwn(result, String(key))) {
        this.#problem([...path, String(key)], `the key ${JSON.stringify(String(key))} is there twice`, keyNode);
      } else {
        result[String(key)] = this.#child(value, String(key), path, marker, keyNode);
      }
    }
    for (const node of merged) this.#merge(node, path, marker, result);
    return result;
  }

  /** `<<: *anchor`: what is there already wins. */
  #merge(node: Node, path: ConfigPath, marker: Marker, result: Record<string, unknown>): void {
    const target = isAlias(node) ? this.#resolve(node, path) : node;
    const maps = isSeq(target) ? (target.items as Node[]) : target === undefined ? [] : [target];
    for (const item of maps) {
      const source: Marker = { position: marker.position, children: new Map() };
      const value = this.read(item, path, source);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        this.#problem(path, 'only mappings can be merged with <<', node);
        continue;
      }
      for (const [key, inherited] of Object.entries(value)) {
        if (Object.hasOwn(result, key)) continue;
        result[key] = inherited;
        const child = source.children.get(key);
        if (child !== undefined) marker.children.set(key, child);
      }
    }
  }

  #problem(path: ConfigPath, message: string, node: Node): void {
    this.#problems.push({ path, message, position: this.#at(node.range?.[0]) });
  }
}

function isMergeKey(key: unknown): boolean {
  return key === '<<' || (typeof key === 'symbol' && key.description === '<<');
}

/** A key as text of one line, cut where it is long. */
export function quoteKey(key: string): string {
  return JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key);
}

/** Prints a path the way that it would be said: `clusters.main.nodes[0].url`. */
export function printPath(path: ConfigPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const word = /^[A-Za-z0-9_-]{1,80}$/.test(key) ? key : quoteKey(key);
    return text === '' ? word : `${text}.${word}`;
  }, '');
}
