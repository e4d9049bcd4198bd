import { SpokeError } from '../../errors.ts';
import type { StepOf } from '../../plan/step.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { wantedUserList } from '../../workflows/setup-cluster/pgbouncer.ts';
import { primaryAddress } from './archiving.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const CONFIGURATION_MODE = 0o640;
const USER_LIST_MODE = 0o600;

type Kinds = 'write-pgbouncer' | 'reload-pgbouncer' | 'check-pgbouncer' | 'publish-endpoints';

/** Setting up what stands in front of the servers. */
export function setupFrontHandlers(ports: HandlerPorts): HandlersOf<Kinds> {
  return {
    'write-pgbouncer': {
      preview: ({ userListFile, configFile }) => [{ argv: ['write', userListFile] }, { argv: ['write', configFile] }],
      run: (step, context) => writeBouncer(ports, step, context),
    },
    'reload-pgbouncer': {
      preview: ({ bouncer }) => [{ argv: [`(pgbouncer ${bouncer})`, 'RELOAD'] }],
      run: async ({ bouncer }, context) => {
        await ports.setupWriter.bouncers.reload(await ports.setup.secrets.bouncerAdminUrl(bouncer), context);
        return {};
      },
    },
    'check-pgbouncer': {
      preview: ({ bouncer }) => ['SHOW DATABASES', 'SHOW POOLS'].map((command) => ({ argv: [`(pgbouncer ${bouncer})`, command] })),
      run: (step, context) => checkBouncer(ports, step, context),
    },
    'publish-endpoints': {
      preview: ({ file, hook }) => [{ argv: ['write', file] }, ...(hook === undefined ? [] : [{ argv: hook }])],
      run: async ({ primary, file, text, values, hook }, context) => {
        await primaryAddress(ports, primary, context);
        await ports.setupWriter.endpoints.publish({ file, text, values, ...(hook === undefined ? {} : { hook }) }, context);
        return { ...values };
      },
    },
  };
}

/** The user list first: with the new configuration and the old list somebody could be kept out. */
async function writeBouncer(ports: HandlerPorts, step: StepOf<'write-pgbouncer'>, context: OperationContext) {
  const { bouncer, primary, configFile, configuration, userListFile, users, adminUser } = step;
  const address = await primaryAddress(ports, primary, context);
  const userList = await wantedUserList({ name: bouncer, users, userListFile, adminUser }, address, ports, context);
  const owner = await ownerOf(ports, configFile);
  await ports.instanceControl.writeFileDurably(userListFile, userList, owner, USER_LIST_MODE);
  await ports.instanceControl.writeFileDurably(configFile, configuration, owner, CONFIGURATION_MODE);
  return {};
}

/** Whoever has the file that is there; else, where we are root, the user that Debian's package runs PgBouncer as. */
async function ownerOf({ instance }: HandlerPorts, configFile: string): Promise<FileOwner> {
  const present = await instance.ownerOf(configFile);
  if (present !== undefined) return present;
  const current = instance.currentUser();
  return (current.uid === 0 ? await instance.findUser('postgres') : undefined) ?? current;
}

async function checkBouncer(ports: HandlerPorts, { bouncer, databases }: StepOf<'check-pgbouncer'>, context: OperationContext) {
  const adminUrl = await ports.setup.secrets.bouncerAdminUrl(bouncer);
  const found = await ports.setup.bouncers.observe(adminUrl, context);
  const names = found.databases.filter(({ disabled }) => !disabled).map(({ name }) => name);
  const missing = databases.filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw new SpokeError('TOOL_FAILED', `PgBouncer ${bouncer} does not offer ${missing.join(', ')}`, {
      hint: 'Its log says what it did not like in its configuration.',
    });
  return { version: found.version, pools: found.pools.length };
}
