import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NativeSettings } from '../../../src/adapters/native/settings.ts';
import { configurationText, recipientsText } from '../../../src/adapters/native/wal/configuration-text.ts';
import { createArchiving } from '../../../src/adapters/native/wal/archiving.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';

function settings(directory: string, more: Partial<NativeSettings> = {}): NativeSettings {
  const open = () => Promise.reject(new Error('nothing is opened'));
  const repository = (name: string, at?: string) =>
    ({
      name: name as RepositoryName,
      kind: at === undefined ? 's3' : 'local',
      retentionDays: 7,
      open,
      ...(at === undefined ? {} : { directory: at }),
    }) as const;
  return {
    ...{ cluster: 'main', directory, programDirectory: `${directory}/bin`, binDirectoryOf: open, compressType: 'zst', compressLevel: 3 },
    ...{ backupFrom: 'primary', ack: 'all', ackTimeoutSeconds: 7, nodes: [] },
    repositories: [repository('s3'), repository('one', `${directory}/one`), repository('two', `${directory}/two`)],
    ...more,
  };
}

/** What a shell makes of it. */
function told(text: string): readonly string[] {
  const script = `${text}\nvisit() { printf '%s\\0' "$@"; }\nprintf '%s\\0' "$spool" "$home" "$home_name" "$level" "$ack"; each_other_local visit; each_remote visit`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

/** Paths as the configuration allows them: no control characters. */
const paths = fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => !/[\0-\x1f\x7f/]/.test(text) && text.isWellFormed());

describe('the file that the WAL programs read', () => {
  it('tells a shell every path as it is, whatever is in it', () => {
    fc.assert(
      fc.property(paths, (text) => {
        const directory = `/srv/x${text}`;
        expect(told(configurationText(settings(directory)))).toEqual([
          ...[`${directory}/spool`, `${directory}/one`, 'one', '-3', 'all'],
          ...['two', `${directory}/two`, 's3'],
        ]);
      }),
      { numRuns: 60 },
    );
  });

  it('names a spool as home where every repository is elsewhere', () => {
    const elsewhere = settings('/srv', { repositories: settings('/srv').repositories.slice(0, 1) });
    expect(told(configurationText(elsewhere))).toEqual(['/srv/spool', '/srv/spool/home', '', '-3', 'all', 's3']);
  });

  it('holds public keys apart, one a line', () => {
    expect(recipientsText(settings('/srv', { encryption: { recipients: ['age1x', 'ssh-ed25519 AAAA me'] } }))).toBe(
      'age1x\nssh-ed25519 AAAA me\n',
    );
    expect(configurationText(settings('/srv', { encryption: { recipients: ['age1x'] } }))).toContain("recipients_file='/srv/recipients'");
  });
});

describe('archive_command', () => {
  it('is a command that a shell takes, with percent signs doubled for PostgreSQL', () => {
    const archiving = createArchiving({ settings: settings(`/a b/c'd/100%`) } as unknown as NativeParts);
    const { archive_mode: mode, archive_command: command = '' } = archiving.archivingSettings();
    expect(mode).toBe('on');
    // PostgreSQL replaces %p and %%, and hands the rest to sh -c.
    const handed = command.replace(/%[p%]/g, (found) => (found === '%p' ? 'pg_wal/X' : '%'));
    const words = execFileSync('sh', ['-c', `set -- ${handed}; printf '%s\\0' "$@"`], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1);
    expect(words).toEqual([`/a b/c'd/100%/bin/spoke-wal-push`, '-c', `/a b/c'd/100%/wal.conf`, 'pg_wal/X']);
  });
});
