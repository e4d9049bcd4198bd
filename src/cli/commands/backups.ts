import { observeRepositories } from '../../workflows/observe-cluster.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { backupToJson, enginesOf, renderBackups } from '../render/backups.ts';
import { openSession, repositoryNamed } from '../session.ts';
import { unreadableError } from '../unreadable.ts';

/** `spoke-backup backups` */
export async function backupsCommand(options: GlobalOptions & { readonly repo?: string }, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const only = options.repo === undefined ? undefined : [repositoryNamed(session.cluster, options.repo)];
  const { snapshots, unreadable } = await observeRepositories(session.cluster, only, { walArchive: false }, session.ports, {
    signal: context.signal,
  });
  if (snapshots.length === 0 && unreadable.length > 0) throw unreadableError(unreadable);
  if (unreadable.length > 0) context.output.exitCode = 3;
  const backups = snapshots.flatMap((snapshot) => snapshot.backups);
  for (const one of unreadable) context.output.warn(`repository ${one.repository} could not be read: ${one.message}`);
  const engineOf = enginesOf(session.cluster);
  const listed = backups.map((backup) => backupToJson(backup, engineOf));
  context.output.result({ cluster: session.cluster.name, backups: listed, unreadable }, () => renderBackups(backups, engineOf));
}
