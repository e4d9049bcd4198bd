import { withHbaRules } from '../../domain/postgres/hba.ts';
import { passfileText } from '../../domain/setup/conninfo.ts';
import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';
import { primaryAddress } from './archiving.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const POLL_MS = 200;
const CHECK_LIMIT_MS = 60_000;

type Kinds = 'configure-server' | 'ensure-role' | 'ensure-slots' | 'allow-connections' | 'write-passfile' | 'check-streaming';

/** Setting up primaries and standbys. Passwords are read where they are needed and go nowhere but into verifiers and passfiles. */
export function setupServerHandlers(ports: HandlerPorts): HandlersOf<Kinds> {
  return {
    'configure-server': {
      preview: ({ node, settings }) => [
        ...Object.entries(settings).map(([name, value]) => ({
          argv: [`(${node})`, `ALTER SYSTEM SET ${name} = '${value.replaceAll("'", "''")}'`],
        })),
        { argv: [`(${node})`, 'SELECT pg_reload_conf()'] },
      ],
      run: (step, context) => configure(ports, step, context),
    },
    'ensure-role': {
      preview: ({ node, role, rights }) => [
        { argv: [`(${node})`, `ALTER ROLE "${role}" LOGIN${rights.replication ? ' REPLICATION' : ''} PASSWORD '(SCRAM verifier)'`] },
        ...rights.memberOf.map((other) => ({ argv: [`(${node})`, `GRANT ${other} TO "${role}"`] })),
        ...rights.mayExecute.map((signature) => ({ argv: [`(${node})`, `GRANT EXECUTE ON FUNCTION ${signature} TO "${role}"`] })),
      ],
      run: (step, context) => ensureRole(ports, step, context),
    },
    'ensure-slots': {
      preview: ({ node, slots }) =>
        slots.map((slot) => ({ argv: [`(${node})`, `SELECT pg_create_physical_replication_slot('${slot}', true)`] })),
      run: async ({ node, slots }, context) => {
        const address = await primaryAddress(ports, node, context);
        for (const slot of slots) await ports.postgresWriter.createSlot(address, slot, context);
        return {};
      },
    },
    'allow-connections': {
      preview: ({ file, node }) => [{ argv: ['write', file] }, { argv: [`(${node})`, 'SELECT pg_reload_conf()'] }],
      run: (step, context) => allowConnections(ports, step, context),
    },
    'write-passfile': {
      preview: ({ path }) => [{ argv: ['write', path] }],
      run: (step) => writePassfile(ports, step),
    },
    'check-streaming': {
      preview: ({ primary }) => [{ argv: [`(${primary})`, 'SELECT active FROM pg_replication_slots'] }],
      run: (step, context) => checkStreaming(ports, step, context),
    },
  };
}

async function configure(ports: HandlerPorts, { node, role, settings }: StepOf<'configure-server'>, context: OperationContext) {
  const address = role === 'primary' ? await primaryAddress(ports, node, context) : await standbyAddress(ports, node, context);
  await ports.postgresWriter.alterSystem(address, settings, context);
  await ports.postgresWriter.reloadConfiguration(address, context);
  return { settings };
}

async function standbyAddress(ports: HandlerPorts, node: string, context: OperationContext): Promise<ServerAddress> {
  const address = await requireAddress(ports, node);
  const { inRecovery } = await ports.postgres.observeServer(address, context);
  if (!inRecovery) throw new SpokeError('PLAN_STALE', `node ${node} is no longer in recovery: it is a primary now`);
  return address;
}

async function requireAddress({ access }: HandlerPorts, node: string): Promise<ServerAddress> {
  const address = await access.addressOf(node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${node} has no url in the configuration`);
  return address;
}

async function ensureRole(ports: HandlerPorts, { node, role, purpose, rights }: StepOf<'ensure-role'>, context: OperationContext) {
  const { setup, setupWriter } = ports;
  const address = await primaryAddress(ports, node, context);
  const password = await (purpose === 'replication' ? setup.secrets.replicationPassword() : setup.secrets.backupPassword());
  const present = (await setup.servers.readVerifiers(address, [role], context)).get(role);
  const fits = password === undefined || (present !== undefined && (await setup.verifiers.matches(present, password)));
  const verifier = fits ? undefined : await setup.verifiers.create(password);
  await setupWriter.servers.ensureRole(address, { name: role, ...rights }, verifier, context);
  return {};
}

/** Should PostgreSQL find fault with the file it gets its old content back: with a faulty one the server would not start again. */
async function allowConnections(ports: HandlerPorts, { node, file, rules }: StepOf<'allow-connections'>, context: OperationContext) {
  const { setup, instance, instanceControl, postgresWriter } = ports;
  const address = await requireAddress(ports, node);
  const before = await setup.servers.observeHba(address, context);
  const owner = await instance.ownerOf(file);
  if (before.file !== file || owner === undefined)
    throw new SpokeError('PLAN_STALE', `${file} is not on this host, or ${node} uses another one now`);
  const text = withHbaRules(before.text, rules);
  if (text === before.text) return {};
  await instanceControl.writeFileDurably(file, text, owner, 0o640);
  const { errors } = await setup.servers.observeHba(address, context);
  if (errors.length > before.errors.length) {
    await instanceControl.writeFileDurably(file, before.text, owner, 0o640);
    throw new SpokeError('POSTGRES_FAILED', `PostgreSQL would not read ${file}, which is as it was before: ${errors.join('; ')}`);
  }
  await postgresWriter.reloadConfiguration(address, context);
  return {};
}

async function writePassfile(ports: HandlerPorts, { path, dataDirectory, role, servers, ...step }: StepOf<'write-passfile'>) {
  const password = await ports.setup.secrets.replicationPassword();
  const owner: FileOwner | undefined = step.owner ?? (await ports.instance.ownerOf(dataDirectory));
  if (password === undefined || owner === undefined)
    throw new SpokeError('PLAN_STALE', `there is no password of ${role} any more, or no ${dataDirectory}`);
  await ports.instanceControl.writeFileDurably(path, passfileText(servers, role, password), owner, 0o600);
  return {};
}

async function checkStreaming(ports: HandlerPorts, { node, primary, slot }: StepOf<'check-streaming'>, context: OperationContext) {
  const address = await primaryAddress(ports, primary, context);
  const deadlineMs = ports.clock.monotonicMs() + Math.min(context.timeoutMs ?? CHECK_LIMIT_MS, CHECK_LIMIT_MS);
  while ((await ports.postgres.observeStreaming(address, slot, context)).slot?.active !== true) {
    if (ports.clock.monotonicMs() > deadlineMs)
      throw new SpokeError('TIMED_OUT', `${node} does not stream from ${primary}: nobody uses the slot ${slot}`, {
        hint: `Read the server log of ${node}: it says why it cannot connect.`,
      });
    await ports.clock.sleep(POLL_MS, context.signal);
  }
  return {};
}
