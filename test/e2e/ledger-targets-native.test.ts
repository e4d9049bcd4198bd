import { AT_LSN, describeTargets, EXACT, OVERTAKEN, RESTORE_POINT, TARGET_NAMES } from './ledger/targets-suite.ts';

/** Where exactly PostgreSQL stops does not depend on where the files came from: every kind of target once. */
describeTargets({
  engine: 'native',
  cases: [
    ['s3', 'second', TARGET_NAMES],
    ['local', 'second', [EXACT, RESTORE_POINT]],
    ['local', 'first', [EXACT, OVERTAKEN, AT_LSN]],
  ],
});
