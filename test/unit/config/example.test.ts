import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configurationJsonSchema } from '../../../src/config/json-schema.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { parse } from './helpers.ts';

const EXAMPLE = fileURLToPath(new URL('../../../docs/config.example.yaml', import.meta.url));

type Schema = Readonly<Record<string, unknown>>;

/** Every key of the file with its schema. */
function keysOf(schema: unknown): [key: string, schema: Schema][] {
  if (typeof schema !== 'object' || schema === null) return [];
  if (Array.isArray(schema)) return schema.flatMap(keysOf);
  const { properties, ...rest } = schema as { properties?: Readonly<Record<string, Schema>> };
  return [
    ...Object.entries(properties ?? {}).flatMap(([key, value]) => [[key, value] as [string, Schema], ...keysOf(value)]),
    ...keysOf(Object.values(rest)),
  ];
}

describe('the example', () => {
  it('loads', async () => {
    const { clusters } = await loadConfiguration({ path: EXAMPLE, environment: {} });
    expect([...clusters.keys()]).toEqual(['main']);
  });

  it('has every key that there is', async () => {
    const text = await readFile(EXAMPLE, 'utf8');
    const keys = new Set(keysOf(configurationJsonSchema()).map(([key]) => key));
    expect(keys.size).toBeGreaterThan(40);
    expect([...keys].filter((key) => !new RegExp(`\\b${key}:`).test(text))).toEqual([]);
  });

  it('shows the true defaults in its comments', async () => {
    const text = await readFile(EXAMPLE, 'utf8');
    const defaults = /^( +)# (engine|stanza|command|compressType|port|pathPrefix|uriStyle|verifyTls|keyType|checksums): /gm;
    expect(text.match(defaults)).toHaveLength(11);
    const plain = parse(text).configuration;
    const explicit = parse(text.replace(defaults, '$1$2: ')).configuration;
    const withPort = JSON.stringify([...explicit.clusters.values()]).replace('"port":443,', '');
    expect(JSON.parse(withPort)).toEqual(JSON.parse(JSON.stringify([...plain.clusters.values()])));
  });
});

describe('the JSON Schema', () => {
  it('describes every key, of schedules too', () => {
    const keys = [...keysOf(configurationJsonSchema()), ...keysOf(configurationJsonSchema('schedule'))];
    const silent = keys.filter(([, schema]) => typeof schema['description'] !== 'string').map(([key]) => key);
    expect(silent).toEqual([]);
  });

  it('refuses unknown keys and requires only what has no default', () => {
    const schema = configurationJsonSchema() as { additionalProperties: boolean; required: string[]; properties: Record<string, Schema> };
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toEqual(['clusters']);
    expect(schema.properties['stateDirectory']?.['default']).toBe('/var/lib/spoke-backup');
  });
});
