import { observeStatus } from '../../workflows/status/status.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { hasFindings, renderStatus, statusToJson } from '../render/status.ts';
import { enginesOf } from '../render/backups.ts';
import { openSession } from '../session.ts';

/** `spoke-backup status` */
export async function statusCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { archive_command: expectedArchiveCommand } = session.ports.engine.archivingSettings();
  const status = await observeStatus(session.cluster, { expectedArchiveCommand }, session.ports, { signal: context.signal });
  if (hasFindings(status)) context.output.exitCode = 3;
  context.output.result({ cluster: session.cluster.name, ...statusToJson(status, enginesOf(session.cluster)) }, () =>
    renderStatus(status, session.configuration.timezone),
  );
}
