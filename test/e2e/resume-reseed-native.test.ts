import { describeResumesOfReseed, momentsOf, WAYS } from './resume/reseed-suite.ts';

const { backup } = WAYS;

/** What the engine does in it: the rest does not depend on where the files came from. */
describeResumesOfReseed('native', [backup], momentsOf('backup', 'restore-standby', 2, 800));
