import type { RestoreRequest } from './request.ts';

/** Where a tablespace of the backup goes; undefined where that has not been said and must be. */
export function newTablespaceLocation(request: RestoreRequest, location: string): string | undefined {
  const asked = request.tablespaceMap.get(location);
  if (asked !== undefined) return asked;
  return request.destination.kind === 'in-place' ? `${location}.spoke-${request.suffix}` : undefined;
}
