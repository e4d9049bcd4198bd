import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { VerifyReport } from '../../ports/backup-engine.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

const MOST_FAULTS_SHOWN = 5;

/** Reading back what is stored. */
export function verifyHandlers(ports: HandlerPorts): HandlersOf<'verify-repository'> {
  return {
    'verify-repository': {
      preview: (step) => ports.engine.previewVerify(step.repository),
      run: async ({ repository }, context) => {
        const report = await verify(ports, repository, context);
        if (!report.ok) throw damaged(repository, report);
        return { repository, ok: true, faults: [] };
      },
    },
  };
}

/** What was expired while it was being read is missing and not damaged: then it is read once more. */
async function verify({ catalog }: HandlerPorts, repository: RepositoryName, context: OperationContext): Promise<VerifyReport> {
  const labels = async () => {
    const { backups } = await catalog.readRepository(repository, { walArchive: false }, { signal: context.signal });
    return backups.map((backup) => backup.label);
  };
  const before = await labels();
  context.onProgress?.({ phase: 'reading', position: `${before.length} backups and their WAL` });
  const report = await catalog.verifyRepository(repository, context);
  if (report.ok || includesAll(await labels(), before)) return report;
  context.onProgress?.({ phase: 'reading once more: backups were expired meanwhile' });
  return catalog.verifyRepository(repository, context);
}

function includesAll(labels: readonly BackupLabel[], wanted: readonly BackupLabel[]): boolean {
  return wanted.every((label) => labels.includes(label));
}

function damaged(repository: RepositoryName, { faults, damagedBackups }: VerifyReport): SpokeError {
  const shown = faults.slice(0, MOST_FAULTS_SHOWN).join('; ');
  const more = faults.length > MOST_FAULTS_SHOWN ? ` and ${faults.length - MOST_FAULTS_SHOWN} more` : '';
  return new SpokeError('VERIFICATION_FAILED', `repository ${repository} is damaged: ${shown}${more}`, {
    details: { repository, faults, damagedBackups },
    hint: `Do not rely on it. Take a new full backup: spoke-backup backup --type full --repo ${repository}`,
  });
}
