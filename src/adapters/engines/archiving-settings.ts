import { SpokeError } from '../../errors.ts';
import type { StandbyRecipe } from '../../ports/backup-engine.ts';

type Settings = Readonly<Record<string, string>>;

/**
 * What PostgreSQL is set to so that its WAL reaches every engine. It knows one archive_command: one after the other, and archived only
 * when the last has succeeded. What fails is offered to all of them again, so each takes again what it has already. Throws INTERNAL where
 * engines want different values of anything else.
 */
export function mergeArchivingSettings(all: readonly Settings[]): Settings {
  const commands = all.flatMap(({ archive_command }) => archive_command ?? []);
  const merged: Record<string, string> = {};
  for (const settings of all)
    for (const [name, value] of Object.entries(settings)) {
      const other = merged[name];
      if (name !== 'archive_command' && other !== undefined && other !== value)
        throw new SpokeError('INTERNAL', `one engine wants ${name} to be ${other}, another one ${value}`);
      merged[name] = value;
    }
  return commands.length === 0 ? merged : { ...merged, archive_command: commands.join(' && ') };
}

/** What one engine does not have the next one is asked for; the backup comes from the first that restores one by itself. */
export function mergeStandbyRecipes(recipes: readonly StandbyRecipe[]): StandbyRecipe {
  const restoreBackup = recipes.find((recipe) => recipe.restoreBackup !== undefined)?.restoreBackup;
  return {
    restoreCommand: recipes.map(({ restoreCommand }) => restoreCommand).join(' || '),
    ...(restoreBackup === undefined ? {} : { restoreBackup }),
  };
}
