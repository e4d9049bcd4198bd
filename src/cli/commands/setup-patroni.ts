import { asSpokeError, SpokeError } from '../../errors.ts';
import { observeServers, onlyPrimary } from '../../workflows/observe-cluster.ts';
import { type PatroniSettings, type PatroniSetup, patroniSetup } from '../../workflows/patroni/setup.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { openSession, type Session } from '../session.ts';

/** `spoke-backup setup patroni`: prints what Patroni has to be told, and tells it nothing. */
export async function setupPatroniCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { cluster, ports } = session;
  if (cluster.patroni === undefined)
    throw new SpokeError('CONFIG_INVALID', `cluster ${cluster.name} has no patroni in the configuration`, {
      hint: 'Say where its REST API is (patroni.urls): spoke-backup config schema',
    });
  const operation = { signal: context.signal };
  const major = onlyPrimary(await observeServers(cluster, ports, operation))?.server.postgresMajor;
  const setup = patroniSetup(cluster, ports.engine, major, await presentConfiguration(session, context));
  const { dynamic, missing, members, notes } = setup;
  const text = await textOf(setup, cluster.patroni.scope);
  context.output.result({ dynamic, missing: missing ?? null, members: Object.fromEntries(members), notes }, () => text);
}

/** Undefined, with a warning, where it cannot be asked: what is wanted does not depend on it. */
async function presentConfiguration({ ports }: Session, { signal, output }: CommandContext): Promise<PatroniSettings | undefined> {
  try {
    return await ports.patroni?.readConfiguration({ signal });
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code === 'CANCELLED' || error.code === 'INTERNAL') throw error;
    output.warn(`what Patroni has already is not known: ${error.message}`);
    return undefined;
  }
}

async function textOf({ dynamic, missing, members, notes }: PatroniSetup, scope: string): Promise<string> {
  const { stringify } = await import('yaml');
  // Patroni reads YAML 1.1, where on and off are no words.
  const yaml = (settings: PatroniSettings) => stringify(settings, { version: '1.1', lineWidth: 0 }).trimEnd();
  const state = missing === undefined ? '' : missing.length === 0 ? ' (already so)' : ` (not so yet: ${missing.join(', ')})`;
  const shared = Map.groupBy(members, ([, settings]) => yaml(settings));
  return [
    `# For the whole cluster: patronictl edit-config ${scope}${state}`,
    yaml(dynamic),
    ...[...shared].flatMap(([text, alike]) => [
      '',
      `# In patroni.yml of ${alike.map(([name]) => name).join(', ')}, then: patronictl reload ${scope}`,
      text,
    ]),
    '',
    ...notes.map((note) => `# ${note}`),
  ].join('\n');
}
