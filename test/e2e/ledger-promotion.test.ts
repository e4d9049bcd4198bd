import { describePromotion } from './ledger/promotion-suite.ts';

describePromotion('pgbackrest');
