/** One object of a JSON text, taken apart field by field. Every method throws RangeError, naming the field. */
export interface JsonFields {
  text(name: string): string;
  optionalText(name: string): string | undefined;
  texts(name: string): readonly string[];
  /** A whole number from 0 on. */
  count(name: string): number;
  optionalCount(name: string): number | undefined;
  /** Written as decimal digits in a text: JSON's numbers lose digits above 2^53. */
  bytes(name: string): bigint;
  flag(name: string): boolean;
  object(name: string): JsonFields;
  objects(name: string): readonly JsonFields[];
}

/** Reads a JSON text that holds one object. Throws RangeError on anything else. */
export function readJsonObject(text: string): JsonFields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RangeError(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return fieldsOf(value, 'the whole');
}

function fieldsOf(value: unknown, where: string): JsonFields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new RangeError(`${where} is not an object`);
  const field = (name: string): unknown => (Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined);
  const wrong = (name: string, what: string) => new RangeError(`"${name}" is not ${what}`);
  const list = (name: string): readonly unknown[] => {
    const found = field(name);
    if (!Array.isArray(found)) throw wrong(name, 'a list');
    return found;
  };
  const text = (name: string): string => asText(field(name), () => wrong(name, 'a text'));
  const count = (name: string): number => asCount(field(name), () => wrong(name, 'a whole number'));
  return {
    text,
    optionalText: (name) => (field(name) === undefined ? undefined : text(name)),
    texts: (name) => list(name).map((one) => asText(one, () => wrong(name, 'a list of texts'))),
    count,
    optionalCount: (name) => (field(name) === undefined ? undefined : count(name)),
    bytes(name) {
      const digits = text(name);
      if (!/^\d{1,20}$/.test(digits)) throw wrong(name, 'a number of bytes in decimal digits');
      return BigInt(digits);
    },
    flag(name) {
      const found = field(name);
      if (typeof found !== 'boolean') throw wrong(name, 'true or false');
      return found;
    },
    object: (name) => fieldsOf(field(name), `"${name}"`),
    objects: (name) => list(name).map((one) => fieldsOf(one, `an entry of "${name}"`)),
  };
}

function asText(value: unknown, wrong: () => RangeError): string {
  if (typeof value !== 'string') throw wrong();
  return value;
}

function asCount(value: unknown, wrong: () => RangeError): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong();
  return value;
}
