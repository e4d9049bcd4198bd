import { SpokeError } from '../../../errors.ts';
import type { ProcessResult } from '../../../ports/process-runner.ts';
import { damaged } from './damaged.ts';
import type { Filter } from './through-process.ts';

/** Needs no private key. age authenticates every 64 KiB and the end: nothing can be changed, nor cut off. */
export function ageEncryption(recipients: readonly string[]): Filter {
  return {
    file: 'age',
    argv: ['--encrypt', ...recipients.flatMap((recipient) => ['--recipient', recipient])],
    failure: encryptionFailure,
  };
}

/** `name`: of the object that is read. */
export function ageDecryption(name: string, identityFile: string): Filter {
  return {
    file: 'age',
    argv: ['--decrypt', '--identity', identityFile],
    failure: (result) => decryptionFailure(name, identityFile, result),
  };
}

/** Where the configuration names no private key. */
export function noIdentity(name: string): SpokeError {
  return new SpokeError('SECRET_UNAVAILABLE', `${name} is encrypted, and the configuration names no file with a private key of age.`, {
    details: { object: name },
    hint: 'Set encryption.identityFile in the configuration of this host, then repeat the command.',
  });
}

function encryptionFailure({ exitCode, stderrTail }: ProcessResult): SpokeError {
  if (/malformed recipient|unknown recipient/.test(stderrTail))
    return new SpokeError('CONFIG_INVALID', `age does not take one of encryption.recipients for a public key: ${firstError(stderrTail)}.`);
  return new SpokeError('TOOL_FAILED', `age ended with exit code ${exitCode}: ${firstError(stderrTail)}.`, {
    details: { tool: 'age', stderrTail },
  });
}

/** Says nothing of what age printed: where an object is not encrypted after all, age shows how it begins. */
function decryptionFailure(name: string, identityFile: string, { stderrTail }: ProcessResult): SpokeError {
  const options = {
    details: { object: name, identityFile },
    hint: `See for which public keys it was written (spoke-backup backups), compare: age-keygen -y ${identityFile}`,
  };
  if (/no identity matched|identity did not match|no matching keys/i.test(stderrTail))
    return new SpokeError('SECRET_UNAVAILABLE', `${name} is not encrypted for the private key in ${identityFile}.`, options);
  if (stderrTail.includes(`reading "${identityFile}"`))
    return new SpokeError(
      'SECRET_UNAVAILABLE',
      `${name} is encrypted, and ${identityFile} cannot be read as a private key of age.`,
      options,
    );
  if (/passphrase/i.test(stderrTail))
    return new SpokeError('SECRET_UNAVAILABLE', `${name} or the private key in ${identityFile} is locked by a passphrase.`, {
      ...options,
      hint: 'Nobody is there to type a passphrase: store the private key without one, in a file that only its owner can read.',
    });
  return damaged(name, 'decrypted', /header/.test(stderrTail) ? 'its header is damaged' : 'it was changed or cut off');
}

function firstError(stderrTail: string): string {
  return /^age: (?:error: )?(.+)$/m.exec(stderrTail)?.[1] ?? 'it gave no reason';
}
