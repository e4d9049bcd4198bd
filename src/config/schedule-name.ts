/** The name of a schedule that the configuration names by itself, or by the path of its file. */
export function scheduleNameOf(reference: string): string {
  return reference.replace(/^.*\//, '').replace(/\.ya?ml$/, '');
}
