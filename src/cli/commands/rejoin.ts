import { decideRejoin } from '../../workflows/rejoin/decide.ts';
import { observeForReseed } from '../../workflows/reseed/observe.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { openSession } from '../session.ts';
import { proceedWithReseed } from './reseed.ts';

export interface RejoinOptions extends ChangingOptions {
  readonly keepOld?: boolean;
}

/** `spoke-backup rejoin <node>`: a reseed by another choice of the method. */
export async function rejoinCommand(node: string, options: RejoinOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const runId = session.newRunId('reseed');
  const suffix = runId.split('-').at(-1) ?? runId;
  const request = { cluster: session.cluster, node, wish: {}, keepOld: options.keepOld === true, suffix };
  const rejoin = decideRejoin(request, await observeForReseed(request, session.ports, { signal: context.signal }));
  if (rejoin.kind === 'reseed') return proceedWithReseed(rejoin.intent, rejoin.world, { runId, session, options, context });
  const { primary, timeline } = rejoin;
  context.output.result(
    { run: null, node, primary, timeline },
    () => `${node} streams from ${primary} on timeline ${timeline}: nothing to do`,
  );
}
