/** A process that packs one segment, for a test that ends it at any moment. Arguments: the place's settings as JSON, and what is stored. */
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import { packSegment } from '../../../src/adapters/native/wal/pack-segment.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';

const [settings = '', stored = ''] = process.argv.slice(2);
const parts = { settings: JSON.parse(settings) as NativeParts['settings'], runner: createProcessRunner() } as unknown as NativeParts;
await packSegment(parts, stored, { signal: new AbortController().signal });
