import { describeInPlace } from './resume/in-place-suite.ts';
import { randomMoments } from './support/kill.ts';

/** In the order of a restore in place of a running node. */
const MOMENTS = [
  { step: 'close-wal-segment' },
  { step: 'reserve-restore-area' },
  { step: 'copy-backup' },
  ...randomMoments('copy-backup', 1, 800),
  { step: 'start-isolated' },
  { step: 'prove-target' },
  ...randomMoments('prove-target', 1, 800),
  { step: 'promote-isolated' },
  { step: 'stop-isolated' },
  { step: 'settle-configuration' },
  { step: 'stop-server' },
  { step: 'swap-data-directory' },
  { step: 'start-restored' },
  { step: 'confirm-restored' },
  { step: 'release-restore-area' },
];

describeInPlace('pgbackrest', MOMENTS);
