import type { StepHandlers } from '../step-handler.ts';
import { archivingHandlers } from './archiving.ts';
import { backupHandlers } from './backup.ts';
import { changePrimaryFrontHandlers } from './change-primary-front.ts';
import { changePrimaryRoleHandlers } from './change-primary-roles.ts';
import { changePrimaryServerHandlers } from './change-primary-servers.ts';
import { compareCandidatesHandlers } from './compare-candidates.ts';
import { expireHandlers } from './expire.ts';
import { isolatedServerHandlers } from './isolated-server.ts';
import { patroniHandlers } from './patroni.ts';
import { pinHandlers } from './pin.ts';
import type { HandlerPorts } from './ports.ts';
import { reseedFileHandlers } from './reseed-files.ts';
import { reseedSeedHandlers } from './reseed-seed.ts';
import { reseedServerHandlers } from './reseed-servers.ts';
import { restartHandlers } from './restart.ts';
import { restoreAreaHandlers } from './restore-area.ts';
import { setupFrontHandlers } from './setup-front.ts';
import { setupServerHandlers } from './setup-servers.ts';
import { swapHandlers } from './swap.ts';
import { verifyHandlers } from './verify.ts';

/** A handler for every kind of step there is. */
export function createStepHandlers(ports: HandlerPorts): StepHandlers {
  return {
    ...archivingHandlers(ports),
    ...backupHandlers(ports),
    ...changePrimaryFrontHandlers(ports),
    ...changePrimaryRoleHandlers(ports),
    ...changePrimaryServerHandlers(ports),
    ...compareCandidatesHandlers(ports),
    ...expireHandlers(ports),
    ...isolatedServerHandlers(ports),
    ...patroniHandlers(ports),
    ...pinHandlers(ports),
    ...reseedFileHandlers(ports),
    ...reseedSeedHandlers(ports),
    ...reseedServerHandlers(ports),
    ...restartHandlers(ports),
    ...restoreAreaHandlers(ports),
    ...setupFrontHandlers(ports),
    ...setupServerHandlers(ports),
    ...swapHandlers(ports),
    ...verifyHandlers(ports),
  };
}
