import { describeTargets, EXACT, OVERTAKEN, RESTORE_POINT, TARGET_NAMES } from './ledger/targets-suite.ts';

describeTargets({
  engine: 'pgbackrest',
  cases: [
    ['local', 'first', TARGET_NAMES],
    ['s3', 'second', TARGET_NAMES],
    ['local', 'second', [EXACT, RESTORE_POINT]],
    ['s3', 'first', [EXACT, OVERTAKEN]],
  ],
});
