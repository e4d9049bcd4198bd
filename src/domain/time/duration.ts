/** How long, for people: `850 ms`, `12 s`, `4m05s`, `1h04m`, `3d02h`. Negative durations keep their sign. */
export function formatDuration(seconds: number): string {
  if (seconds < 0) return `-${formatDuration(-seconds)}`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const whole = Math.round(seconds);
  if (whole < 60) return seconds < 10 ? `${seconds.toFixed(1)} s` : `${whole} s`;
  const pad = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${pad(whole % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h${pad(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${pad(hours % 24)}h`;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads a duration as it is written in configuration: `60s`, `30m`, `6h`, `2d`, `1h30m`. Whole seconds; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?=\d)(?:\d{1,6}d)?(?:\d{1,6}h)?(?:\d{1,6}m)?(?:\d{1,9}s)?$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+)([dhms])/g);
  return [...parts].reduce((seconds, [, count, unit]) => seconds + Number(count) * (UNIT_SECONDS[unit ?? ''] ?? 0), 0);
}
