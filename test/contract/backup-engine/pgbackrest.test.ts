import { describeBackupEngine } from './backup-engine.contract.ts';
import { createPgbackrest } from './pgbackrest-fixture.ts';

describeBackupEngine('pgBackRest with two local repositories', () => createPgbackrest());
