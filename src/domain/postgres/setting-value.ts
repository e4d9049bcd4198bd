/** Sizes in bytes, times in milliseconds: units of PostgreSQL's settings (documentation, "Parameter Names and Values"). */
const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A number with an optional unit, in base units; without one it is in `unit`. Undefined for anything else. */
export function settingNumber(value: string, unit: string | undefined): number | undefined {
  const [, digits, ownUnit] = /^\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(value) ?? [];
  if (digits === undefined) return undefined;
  const factor = ownUnit ? UNITS[ownUnit] : unitFactor(unit);
  return factor === undefined ? undefined : Number(digits) * factor;
}

/** `8kB` is a unit, too: the size of a block. */
function unitFactor(unit: string | undefined): number | undefined {
  if (unit === undefined || unit === '') return 1;
  const [, count = '', name = ''] = /^(\d*)([A-Za-z]+)$/.exec(unit) ?? [];
  const factor = UNITS[name];
  return factor === undefined ? undefined : factor * (count === '' ? 1 : Number(count));
}

/** Whether a setting that shows `present` (in its own unit) is what `wanted` says. */
export function sameSetting(present: string, wanted: string, unit: string | undefined): boolean {
  if (present === wanted) return true;
  const [has, wants] = [settingNumber(present, unit), settingNumber(wanted, unit)];
  return has !== undefined && has === wants;
}

/** Whether it is that, or more. */
export function atLeastSetting(present: string, wanted: string, unit: string | undefined): boolean {
  const [has, wants] = [settingNumber(present, unit), settingNumber(wanted, unit)];
  return has !== undefined && wants !== undefined ? has >= wants : present === wanted;
}
