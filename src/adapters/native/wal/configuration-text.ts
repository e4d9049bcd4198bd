import type { NativeSettings } from '../settings.ts';
import { homeOf, isPackedBehind, recipientsFileOf, spoolOf } from './places.ts';

/** Of this file's format. */
const LAYOUT = 1;
/** Where more segments wait than one, so many are stored at the same time. */
const TOGETHER = 4;

/** What spoke-wal-push and spoke-wal-get are told: assignments and functions of a POSIX shell. No secrets. Pure. */
export function configurationText(settings: NativeSettings): string {
  const { compressType, compressLevel, encryption, ack, ackTimeoutSeconds, repositories } = settings;
  const home = homeOf(settings);
  const locals = repositories.flatMap(({ name, directory }) => (directory === undefined ? [] : [[name, directory] as const]));
  const remotes = repositories.flatMap(({ name, directory }) => (directory === undefined ? [[name] as const] : []));
  return [
    '# Written by spoke-backup, which replaces it: change its configuration instead.',
    `layout=${LAYOUT}`,
    assignment('compress', compressType),
    assignment('level', levelOption(compressType, compressLevel)),
    assignment('recipients_file', encryption === undefined ? '' : recipientsFileOf(settings)),
    assignment('identity_file', encryption?.identityFile ?? ''),
    assignment('ack', ack),
    assignment('ack_timeout_seconds', String(ackTimeoutSeconds)),
    assignment('spool', spoolOf(settings)),
    assignment('home', home.directory),
    assignment('home_name', home.repository?.name ?? ''),
    assignment('together', String(TOGETHER)),
    assignment('pack_behind', isPackedBehind(settings) ? 'yes' : ''),
    callsOf('each_local', locals),
    callsOf('each_other_local', locals.slice(1)),
    callsOf('each_remote', remotes),
    '',
  ].join('\n');
}

/**
 * The lowest level of zstd is a little lower for WAL: a tenth more is stored, and archive_command takes a fifth less of the time that PostgreSQL
 * waits for it.
 */
function levelOption(compressType: NativeSettings['compressType'], level: number): string {
  return compressType === 'zst' && level === 1 ? '--fast=1' : `-${level}`;
}

/** The public keys, one a line. Pure. */
export function recipientsText({ encryption }: Pick<NativeSettings, 'encryption'>): string {
  return (encryption?.recipients ?? []).map((recipient) => `${recipient}\n`).join('');
}

function assignment(name: string, value: string): string {
  return `${name}=${quoted(value)}`;
}

/** A function that calls what it is given once for each list of arguments. */
function callsOf(name: string, calls: readonly (readonly string[])[]): string {
  const lines = calls.map((call) => `  "$1" ${call.map(quoted).join(' ')} || return`);
  return `${name}() {\n${[...lines, '  :'].join('\n')}\n}`;
}

/** A word of a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
