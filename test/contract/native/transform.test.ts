import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reading, storing, type TransformParts } from '../../../src/adapters/native/transform.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import { type NativeCompressType, storedSuffix } from '../../../src/domain/native/layout.ts';
import { SpokeError } from '../../../src/errors.ts';

const runner = createProcessRunner({ graceMs: 300 });
const LEVEL = 1;
const TYPES = ['zst', 'lz4', undefined] as const;

let scratch: string;
let own: { recipient: string; identityFile: string };
let foreign: { recipient: string; identityFile: string };

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'transform-'));
  own = newKey(scratch, 'own');
  foreign = newKey(scratch, 'foreign');
});

afterAll(() => rm(scratch, { recursive: true }));

function newKey(directory: string, name: string) {
  const identityFile = join(directory, name);
  execFileSync('age-keygen', ['-o', identityFile], { stdio: 'ignore' });
  return { identityFile, recipient: execFileSync('age-keygen', ['-y', identityFile], { encoding: 'utf8' }).trim() };
}

function parts(encryption?: TransformParts['settings']['encryption']): TransformParts {
  return { runner, settings: { compressLevel: LEVEL, ...(encryption && { encryption }) } };
}

const plain = () => parts();
const writer = () => parts({ recipients: [own.recipient] });
const reader = () => parts({ recipients: [own.recipient], identityFile: own.identityFile });

function context(more: { signal?: AbortSignal; timeoutMs?: number } = {}) {
  return { signal: new AbortController().signal, timeoutMs: 60_000, ...more };
}

async function* inChunks(bytes: Uint8Array, chunkBytes = 50_000): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    await Promise.resolve();
    yield bytes.subarray(offset, offset + chunkBytes);
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function store(by: TransformParts, type: NativeCompressType | undefined, bytes: Uint8Array): Promise<Buffer> {
  return collect(storing(by, type, inChunks(bytes), context()));
}

function nameOf(type: NativeCompressType | undefined, by: TransformParts): string {
  const isEncrypted = by.settings.encryption !== undefined;
  if (type === undefined) return isEncrypted ? 'object.age' : 'object';
  return `object${storedSuffix(type, isEncrypted)}`;
}

async function errorOf(run: Promise<unknown>): Promise<SpokeError> {
  const thrown: unknown = await run.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof SpokeError) return thrown;
  throw new Error(`expected a SpokeError, got ${String(thrown)}`);
}

/** Of which no compressor makes much, with runs of which every one does. */
function content(sizeBytes: number): Buffer {
  return Buffer.concat([randomBytes(Math.ceil(sizeBytes / 2)), Buffer.alloc(Math.floor(sizeBytes / 2), 'row ')]);
}

function childrenOfOurs(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'latin1').split(' ').filter(Boolean),
  );
}

describe.each(TYPES)('what is stored as %s', (type) => {
  it.each(['plain', 'encrypted'])('comes back as it was, whatever its size (%s)', async (how) => {
    const [by, from] = how === 'plain' ? [plain(), plain()] : [writer(), reader()];
    const around = [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003];
    const examples = around.map((size): [number, number] => [size, 50_000]);
    const property = fc.asyncProperty(fc.nat(300_000), fc.integer({ min: 1, max: 100_000 }), async (sizeBytes, chunkBytes) => {
      const bytes = content(sizeBytes);
      const chunks = Math.max(chunkBytes, Math.ceil(sizeBytes / 50));
      const stored = await collect(storing(by, type, inChunks(bytes, chunks), context()));
      const back = await collect(reading(from, nameOf(type, by), inChunks(stored, chunks), context()));
      expect(back.equals(bytes)).toBe(true);
    });
    await fc.assert(property, { numRuns: 20, examples });
  });

  it('needs the public key alone to be written, and cannot be read by who has no more', async () => {
    const secret = content(300_000);
    const by = writer();
    const stored = await store(by, type, secret);
    expect(stored.includes(secret.subarray(0, 32))).toBe(false);
    const error = await errorOf(collect(reading(by, nameOf(type, by), inChunks(stored), context())));
    expect(error).toMatchObject({ code: 'SECRET_UNAVAILABLE', hint: expect.stringContaining('encryption.identityFile') as string });
  });
});

describe('other programs', () => {
  it.each([
    ['zst', ['zstd', '-dc']],
    ['lz4', ['lz4', '-dc']],
  ] as const)('read what is stored as %s', async (type, [file, ...argv]) => {
    const bytes = content(500_000);
    const stored = await store(plain(), type, bytes);
    expect(execFileSync(file, argv, { input: stored, maxBuffer: 10_000_000 }).equals(bytes)).toBe(true);
  });

  it.each([
    ['zst', ['zstd', '-qc']],
    ['lz4', ['lz4', '-qc']],
  ] as const)('may have written what is read as %s', async (type, [file, ...argv]) => {
    const bytes = content(500_000);
    const stored = execFileSync(file, argv, { input: bytes, maxBuffer: 10_000_000 });
    expect((await collect(reading(plain(), nameOf(type, plain()), inChunks(stored), context()))).equals(bytes)).toBe(true);
  });

  it('find one frame, however the content came', async () => {
    for (const chunkBytes of [1, 3, 7, 1_000]) {
      const stored = await collect(storing(plain(), 'zst', inChunks(content(200), chunkBytes), context()));
      const file = join(scratch, 'one-frame.zst');
      await writeFile(file, stored);
      expect(execFileSync('zstd', ['-lv', file], { encoding: 'utf8', stdio: 'pipe' })).toMatch(/Zstandard Frames: 1\n/);
    }
  });

  it('find a content checksum in each frame', async () => {
    const directory = await mkdtemp(join(scratch, 'frames-'));
    const file = join(directory, 'object.zst');
    await writeFile(file, await store(plain(), 'zst', content(500_000)));
    expect(execFileSync('zstd', ['-lv', file], { encoding: 'utf8', stdio: 'pipe' })).toMatch(/Check: XXH64/);
    // Frame descriptor of LZ4: the bit of the content checksum.
    expect(((await store(plain(), 'lz4', content(500_000)))[4] ?? 0) & 0b100).toBe(0b100);
  });
});

describe.each(['zst', 'lz4', 'zst.age', 'lz4.age', 'age'])('damage in an object.%s', (suffix) => {
  const isEncrypted = suffix.endsWith('age');
  const type = TYPES.find((one) => one !== undefined && suffix.startsWith(one));
  const bytes = content(400_000);
  let stored: Buffer;

  beforeAll(async () => {
    stored = await store(isEncrypted ? writer() : plain(), type, bytes);
  });

  const codeOf = async (object: Uint8Array) =>
    (await errorOf(collect(reading(isEncrypted ? reader() : plain(), `object.${suffix}`, inChunks(object), context())))).code;

  it('is found wherever it is cut off', async () => {
    const cuts = [0, 1, 3, 10, 100, 65_536, 150_000, stored.length - 9, stored.length - 4, stored.length - 1];
    for (const length of cuts) expect([length, await codeOf(stored.subarray(0, length))]).toEqual([length, 'BACKUP_DAMAGED']);
  });

  it('is found where something follows', async () => {
    for (const more of [Buffer.from('x'), Buffer.from('junkjunk'), randomBytes(100_000)]) {
      expect(await codeOf(Buffer.concat([stored, more]))).toBe('BACKUP_DAMAGED');
    }
  });

  it('is found where a bit of the content is turned', async () => {
    for (const offset of [Math.floor(stored.length / 3), Math.floor(stored.length / 2), stored.length - 2]) {
      const turned = Buffer.from(stored);
      turned[offset] = (turned[offset] ?? 0) ^ 0x10;
      expect([offset, await codeOf(turned)]).toEqual([offset, 'BACKUP_DAMAGED']);
    }
  });

  it('is found where it is something else altogether, of which nothing is printed', async () => {
    const other = Buffer.from('the secret of a customer, stored by mistake as it is\n'.repeat(1_000));
    const error = await errorOf(collect(reading(isEncrypted ? reader() : plain(), `object.${suffix}`, inChunks(other), context())));
    expect(error.code).toBe('BACKUP_DAMAGED');
    expect(JSON.stringify([error.message, error.hint, error.details, String(error.cause)])).not.toContain('customer');
  });
});

describe('a key', () => {
  const read = async (identityFile: string) => {
    const stored = await store(writer(), 'zst', content(100_000));
    return errorOf(collect(reading(parts({ recipients: [own.recipient], identityFile }), 'object.zst.age', inChunks(stored), context())));
  };

  async function keyFile(text: string, mode = 0o600): Promise<string> {
    const path = join(await mkdtemp(join(scratch, 'key-')), 'identity');
    await writeFile(path, text, { mode });
    return path;
  }

  it('that is not one of those it was written for is no damage, and named', async () => {
    const error = await read(foreign.identityFile);
    expect(error.code).toBe('SECRET_UNAVAILABLE');
    expect(error.message).toContain(`not encrypted for the private key in ${foreign.identityFile}`);
    expect(error.hint).toContain(`age-keygen -y ${foreign.identityFile}`);
  });

  it('may be any one of several recipients', async () => {
    const bytes = content(100_000);
    const stored = await store(parts({ recipients: [foreign.recipient, own.recipient] }), 'zst', bytes);
    expect((await collect(reading(reader(), 'object.zst.age', inChunks(stored), context()))).equals(bytes)).toBe(true);
  });

  it('whose file is missing or holds none is named, and not what it holds', async () => {
    for (const path of ['/no/such/file', await keyFile(''), await keyFile('AGE-SECRET-KEY-1CANARY\n'), await keyFile('canary\n')]) {
      const error = await read(path);
      expect([path, error.code]).toEqual([path, 'SECRET_UNAVAILABLE']);
      expect(error.message).toContain(path);
      expect(JSON.stringify([error.message, error.details, error.hint])).not.toMatch(/canary/i);
    }
  });

  it('that others can read is not used', async () => {
    const path = await keyFile(readFileSync(own.identityFile, 'utf8'));
    await chmod(path, 0o644);
    expect(await read(path)).toMatchObject({ code: 'SECRET_UNAVAILABLE', hint: `chmod 600 ${path}` });
  });

  it('to which nothing can be encrypted is a mistake of the configuration', async () => {
    const stored = store(parts({ recipients: ['age1notakeyatall0000000000000'] }), 'zst', content(1_000));
    expect((await errorOf(stored)).code).toBe('CONFIG_INVALID');
  });
});

describe.each(['zst', 'lz4', 'zst.age', 'lz4.age'])('a stream of object.%s', (suffix) => {
  const type = suffix.startsWith('zst') ? 'zst' : 'lz4';
  const by = () => (suffix.endsWith('age') ? reader() : plain());

  it('passes on what its source throws, and ends nothing as if it were whole', async () => {
    const failure = new Error('the source is broken');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* inChunks(content(200_000));
      throw failure;
    }
    await expect(collect(storing(by(), type, broken(), context()))).rejects.toBe(failure);
    const stored = await store(by(), type, content(500_000));
    async function* brokenStored(): AsyncGenerator<Uint8Array> {
      yield* inChunks(stored.subarray(0, 200_000));
      throw failure;
    }
    await expect(collect(reading(by(), `object.${suffix}`, brokenStored(), context()))).rejects.toBe(failure);
    await expect.poll(childrenOfOurs).toEqual([]);
  });

  it('leaves no process and no source behind where nobody reads to its end', async () => {
    const closed: string[] = [];
    async function* source(what: string, bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      try {
        yield* inChunks(bytes);
      } finally {
        closed.push(what);
      }
    }
    const bytes = randomBytes(20_000_000);
    for await (const chunk of storing(by(), type, source('writing', bytes), context())) if (chunk.length > 0) break;
    const stored = await store(by(), type, bytes);
    for await (const chunk of reading(by(), `object.${suffix}`, source('reading', stored), context())) if (chunk.length > 0) break;
    await expect.poll(() => closed).toEqual(['writing', 'reading']);
    await expect.poll(childrenOfOurs).toEqual([]);
  });

  it('ends when it is cancelled, with the reason', async () => {
    const controller = new AbortController();
    const reason = new SpokeError('TERMINATED', 'asked to end');
    async function* untilCancelled(): AsyncGenerator<Uint8Array> {
      for (let count = 0; ; count += 1) {
        yield content(100_000);
        if (count === 20) controller.abort(reason);
      }
    }
    await expect(collect(storing(by(), type, untilCancelled(), context({ signal: controller.signal })))).rejects.toBe(reason);
    await expect.poll(childrenOfOurs).toEqual([]);
  });

  it('takes no more of its source than it is asked for', async () => {
    let askedBytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      while (askedBytes < 64_000_000) {
        const chunk = randomBytes(65_536);
        askedBytes += chunk.length;
        await Promise.resolve();
        yield chunk;
      }
    }
    const stream = storing(by(), type, counted(), context())[Symbol.asyncIterator]();
    await stream.next();
    let before = -1;
    while (before !== askedBytes) {
      before = askedBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await stream.return?.();
    expect(askedBytes).toBeLessThan(16_000_000);
  });
});

describe('a program that is not installed', () => {
  it('is named', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = await mkdtemp(join(scratch, 'path-'));
    try {
      const errors = [await errorOf(store(writer(), 'zst', content(10))), await errorOf(store(plain(), 'lz4', content(10)))];
      expect(errors.map(({ code, details }) => [code, details['tool']])).toEqual([
        ['TOOL_MISSING', 'age'],
        ['TOOL_MISSING', 'lz4'],
      ]);
    } finally {
      process.env['PATH'] = path;
    }
  });
});
