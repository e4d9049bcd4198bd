import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { PasswordVerifiers } from '../../ports/password-verifiers.ts';

/** As PostgreSQL's own (SCRAM_SHA_256_DEFAULT_ITERATIONS and SCRAM_DEFAULT_SALT_LEN in scram-common.h). */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** What a verifier may ask of us: more is nobody's doing. */
const MOST_ITERATIONS = 1_000_000;

const VERIFIER = /^SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** Verifiers as PostgreSQL and PgBouncer make them. */
export function createPasswordVerifiers(): PasswordVerifiers {
  return {
    create: (password) => scramVerifier(password, randomBytes(SALT_BYTES), ITERATIONS),
    async matches(verifier, password) {
      const [, iterations, salt] = VERIFIER.exec(verifier) ?? [];
      if (iterations === undefined || salt === undefined || Number(iterations) < 1 || Number(iterations) > MOST_ITERATIONS) return false;
      const expected = await scramVerifier(password, Buffer.from(salt, 'base64'), Number(iterations));
      const [a, b] = [Buffer.from(expected), Buffer.from(verifier)];
      return a.length === b.length && timingSafeEqual(a, b);
    },
  };
}

/**
 * RFC 5802, section 3, with SHA-256 (RFC 7677): SaltedPassword := Hi(Normalize(password), salt, i), which is PBKDF2;
 * StoredKey := H(HMAC(SaltedPassword, "Client Key")); ServerKey := HMAC(SaltedPassword, "Server Key").
 */
export async function scramVerifier(password: string, salt: Uint8Array, iterations: number): Promise<string> {
  const salted = await promisify(pbkdf2)(await normalized(password), salt, iterations, KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

/** SASLprep (RFC 4013); as PostgreSQL (scram_SaltedPassword's callers) it takes a password that cannot be prepared as it is. */
async function normalized(password: string): Promise<string> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has some
  if (/^[\u0000-\u007f]*$/.test(password)) return password;
  const { default: saslprep } = await import('@mongodb-js/saslprep');
  try {
    return saslprep(password);
  } catch {
    return password;
  }
}
