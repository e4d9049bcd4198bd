import { describeResumesBeside } from './resume/beside-suite.ts';
import { randomMoments } from './support/kill.ts';

describeResumesBeside('pgbackrest', [...randomMoments('copy-backup', 2, 800), ...randomMoments('prove-target', 2, 800)]);
