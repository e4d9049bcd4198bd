import { reseedWorkflow } from '../../engine/reseed-workflow.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import type { ReseedIntent } from '../../workflows/reseed/intent.ts';
import type { CommandContext } from '../command-context.ts';
import { execute } from '../execute.ts';
import type { Session } from '../session.ts';

/** Runs or resumes a reseed and prints what came of it. */
export async function runReseed(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const { results } = await execute(reseedWorkflow(session.cluster, session.ports), header, session, context);
  const { node, primary, method, source, oldDataDirectory, keepOld } = header.intent as ReseedIntent;
  const streaming = results.get('await-streaming') ?? {};
  const kept = keepOld ? oldDataDirectory : null;
  context.output.result({ run: header.runId, node, primary, method, source, streaming, oldDataDirectory: kept }, () => {
    const old = kept === null ? '' : `; its old data is in ${kept}`;
    return `${node} streams from ${primary}, seeded by ${method} from ${source.name}${old}`;
  });
}
