import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { primaryAddress } from './archiving.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const CONFIGURATION_MODE = 0o640;

type Kinds = 'pause-pgbouncer' | 'evict-from-pgbouncer' | 'resume-pgbouncer' | 'repoint-pgbouncer';

/** Holding clients back in front of the servers, and sending them to another one. */
export function changePrimaryFrontHandlers(ports: HandlerPorts): HandlersOf<Kinds> {
  return {
    'pause-pgbouncer': {
      preview: ({ bouncer, databases }) => databases.map((database) => ({ argv: [`(pgbouncer ${bouncer})`, `PAUSE ${database}`] })),
      run: (step, context) => pause(ports, step, context),
    },
    'evict-from-pgbouncer': {
      preview: ({ bouncer, databases }) => databases.map((database) => ({ argv: [`(pgbouncer ${bouncer})`, `KILL ${database}`] })),
      run: async ({ bouncer, databases }, context) => {
        const adminUrl = await ports.setup.secrets.bouncerAdminUrl(bouncer);
        for (const database of databases) await ports.setupWriter.bouncers.evict(adminUrl, database, context);
        return {};
      },
    },
    'resume-pgbouncer': {
      preview: ({ bouncer, databases }) => databases.map((database) => ({ argv: [`(pgbouncer ${bouncer})`, `RESUME ${database}`] })),
      run: async ({ bouncer, databases }, context) => {
        const adminUrl = await ports.setup.secrets.bouncerAdminUrl(bouncer);
        for (const database of databases) await ports.setupWriter.bouncers.resume(adminUrl, database, context);
        return {};
      },
    },
    'repoint-pgbouncer': {
      preview: ({ bouncer, configFile }) => [{ argv: ['write', configFile] }, { argv: [`(pgbouncer ${bouncer})`, 'RELOAD'] }],
      run: (step, context) => repoint(ports, step, context),
    },
  };
}

/** Side by side: each waits for its own transactions. */
async function pause(ports: HandlerPorts, { bouncer, databases }: StepOf<'pause-pgbouncer'>, context: OperationContext) {
  const adminUrl = await ports.setup.secrets.bouncerAdminUrl(bouncer);
  await Promise.all(databases.map((database) => ports.setupWriter.bouncers.pause(adminUrl, database, context)));
  return {};
}

/** The roles are the same on every server of a cluster, so the user list stays. */
async function repoint(ports: HandlerPorts, step: StepOf<'repoint-pgbouncer'>, context: OperationContext) {
  const { bouncer, primary, configFile, configuration } = step;
  await primaryAddress(ports, primary, context);
  const owner = await ports.instance.ownerOf(configFile);
  if (owner === undefined)
    throw new SpokeError('PLAN_STALE', `${configFile} is gone`, { hint: 'Set it up again: spoke-backup setup pgbouncer --apply' });
  await ports.instanceControl.writeFileDurably(configFile, configuration, owner, CONFIGURATION_MODE);
  await ports.setupWriter.bouncers.reload(await ports.setup.secrets.bouncerAdminUrl(bouncer), context);
  return {};
}
