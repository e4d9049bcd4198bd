import type { HandlerPorts, HandlersOf } from './ports.ts';

/** Pinning backups, and unpinning them. */
export function pinHandlers({ engine, pinWriter }: HandlerPorts): HandlersOf<'save-pin' | 'remove-pin' | 'annotate-backup'> {
  return {
    'save-pin': {
      preview: ({ cluster }) => [{ argv: ['(write)', `pins of ${cluster}`] }],
      run: async ({ cluster, pin }) => {
        await pinWriter.save(cluster, pin);
        return { repository: pin.repository, label: pin.label };
      },
    },
    'remove-pin': {
      preview: ({ cluster }) => [{ argv: ['(write)', `pins of ${cluster}`] }],
      run: async ({ cluster, repository, label }) => {
        await pinWriter.remove(cluster, repository, label);
        return { repository, label };
      },
    },
    'annotate-backup': {
      preview: (step) => engine.previewAnnotate(step),
      run: async (step, context) => {
        await engine.annotateBackup(step, context);
        return { repository: step.repository, label: step.label };
      },
    },
  };
}
