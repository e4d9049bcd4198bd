import { describeResumesBeside } from './resume/beside-suite.ts';
import { randomMoments } from './support/kill.ts';

/** What becomes of a server that replays is the same; how it is copied and gets its WAL is not. */
describeResumesBeside('native', [...randomMoments('copy-backup', 3, 600), ...randomMoments('prove-target', 1, 800)]);
