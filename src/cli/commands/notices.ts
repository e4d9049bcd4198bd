import { composeNotifier } from '../../composition-notices.ts';
import { loadConfiguration } from '../../config/load.ts';
import type { Notice } from '../../domain/notices/notice.ts';
import { formatInstantIso, type Instant, instantOfMillis } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Delivery } from '../../ports/notifier.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { renderTable } from '../render/table.ts';
import { clusterOf, loadOptions } from '../session.ts';

/** `spoke-backup notices test`: every channel of the cluster is tried; with one that fails the exit code is 3. */
export async function testNoticesCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const configuration = await loadConfiguration(loadOptions(options));
  const cluster = clusterOf(configuration, options.cluster).name;
  const notifier = composeNotifier(configuration, context.signal);
  const notice = testNotice(cluster, instantOfMillis(Date.now()));
  const deliveries = [
    ...(await notifier.send(notice, context.signal)),
    ...(await notifier.signalLife({ cluster, signal: 'test', runId: notice.id }, context.signal)),
  ];
  if (deliveries.length === 0)
    throw new SpokeError('REFUSED_PRECONDITION', `no channel is told about ${cluster}`, {
      hint: 'Add one to notices.channels in the configuration.',
    });
  if (deliveries.some(({ result }) => result === 'failed')) context.output.exitCode = 3;
  context.output.result({ cluster, deliveries }, () => renderDeliveries(deliveries));
}

function testNotice(cluster: string, at: Instant): Notice {
  const id = `${formatInstantIso(at)} test ${cluster}`;
  const cause = 'Somebody ran spoke-backup notices test. Nothing is wrong, and nothing needs to be done.';
  return { id, kind: 'test', topic: undefined, cluster, at, title: `${cluster}: this is a test`, cause, next: 'spoke-backup status' };
}

function renderDeliveries(deliveries: readonly Delivery[]): string {
  return renderTable(
    ['CHANNEL', 'KIND', 'RESULT', 'ATTEMPTS'],
    deliveries.map(({ channel, kind, result, attempts, reason }) => [
      channel,
      kind,
      reason === undefined ? result : `${result}: ${reason}`,
      String(attempts),
    ]),
  );
}
