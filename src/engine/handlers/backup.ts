import type { HandlerPorts, HandlersOf } from './ports.ts';

/** Taking backups. */
export function backupHandlers({ engine }: HandlerPorts): HandlersOf<'take-backup'> {
  return {
    'take-backup': {
      preview: (step) => engine.previewBackup(step),
      run: async (step, context) => ({ repository: step.repository, label: await engine.takeBackup(step, context) }),
    },
  };
}
