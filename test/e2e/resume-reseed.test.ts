import { describeResumesOfReseed, momentsOf, WAYS } from './resume/reseed-suite.ts';

const { basebackup, backup, delta, rewind } = WAYS;

describeResumesOfReseed(
  'pgbackrest',
  [basebackup, backup, delta, rewind],
  [
    ...momentsOf('basebackup', 'copy-standby', 2, 800),
    ...momentsOf('backup', 'restore-standby', 1, 800),
    ...momentsOf('delta', 'restore-standby', 1, 800),
    ...momentsOf('rewind', 'rewind-standby', 2, 400),
  ],
);
