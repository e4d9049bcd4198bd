import { describeBackupEngine } from './backup-engine.contract.ts';
import { createNative } from './native-fixture.ts';

describeBackupEngine('the native engine with two local repositories', () => createNative());
