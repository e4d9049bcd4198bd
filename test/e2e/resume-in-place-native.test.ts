import { describeInPlace } from './resume/in-place-suite.ts';
import { randomMoments } from './support/kill.ts';

/** What the engine does in it: the rest does not depend on where the files came from. */
describeInPlace('native', [
  { step: 'copy-backup' },
  ...randomMoments('copy-backup', 1, 800),
  { step: 'start-isolated' },
  ...randomMoments('prove-target', 1, 800),
]);
