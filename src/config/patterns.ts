/** Names of clusters, nodes and repositories: harmless in paths, argument vectors and ini sections. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const NAME_RULE = 'must be a name: lower-case letters, digits, - and _, beginning with a letter or a digit, at most 63 characters';

/** pgBackRest is less strict, and its stanzas cannot be renamed: existing ones must be able to stay. */
export const STANZA_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const STANZA_RULE = 'must be a name: letters, digits, -, _ and ., beginning with a letter or a digit';

/** Absolute; without control characters, `//`, or space at its ends (pgBackRest's ini files lose that space). */
export const PATH_PATTERN = /^(?!.*\/\/)\/(?:[^\u0000-\u001f\u007f]*[^\u0000-\u0020\u007f])?$/;
export const PATH_RULE = 'must be an absolute path without line breaks, control characters, // or space at its end';

/** What may stand behind `name=` in an ini file; space at its ends would be lost. */
export const INI_VALUE_PATTERN = /^(?! )[^\u0000-\u001f\u007f]+(?<! )$/;
export const INI_VALUE_RULE = 'must be one line without control characters, and without space at its ends';

/** A program: an absolute path, or a name to look up in PATH; never an option. */
export const COMMAND_PATTERN = /^(?:\/[^\u0000-\u001f\u007f]+|[A-Za-z0-9_][A-Za-z0-9._+-]*)$/;
export const COMMAND_RULE = 'must be an absolute path or the plain name of a program';

export const OS_USER_PATTERN = /^[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?$/;
export const HOST_PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
export const BUCKET_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
export const REGION_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** A key's ID or ARN or alias; of other services its name. */
export const KMS_KEY_PATTERN = /^[A-Za-z0-9][A-Za-z0-9:/_.-]{0,2047}$/;
export const UNIT_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,254}$/;
export const OPTION_NAME_PATTERN = /^[a-z0-9][a-z0-9-]*$/;

/** Whether the name is one of the IANA database that this Node knows. */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
export const TIMEZONE_RULE = 'must be the name of a time zone, such as Etc/UTC or Europe/Paris';
