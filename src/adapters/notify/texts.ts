import type { Notice } from '../../domain/notices/notice.ts';
import { formatInstantIso, formatInstantUtc } from '../../domain/time/instant.ts';

/** A notice as generic JSON; docs/notices.md describes it. */
export function noticeToJson(notice: Notice, host: string): string {
  const { id, kind, topic, cluster, at, title, cause, next, runId, code } = notice;
  return JSON.stringify({
    ...{ schema: 1, id, kind, topic: topic ?? null, cluster: cluster ?? null, host, at: formatInstantIso(at) },
    ...{ title, cause, next, run: runId ?? null, code: code ?? null },
  });
}

/** A notice as plain text, for mail. */
export function noticeToText({ title, cause, next, runId, code, at }: Notice, host: string): string {
  return [
    title,
    '',
    cause,
    '',
    `Next: ${next}`,
    ...(runId === undefined ? [] : [`Run: ${runId}`]),
    ...(code === undefined ? [] : [`Code: ${code} (docs/errors.md)`]),
    `Host: ${host}`,
    `At: ${formatInstantUtc(at, { fraction: 'none' })}`,
    '',
  ].join('\n');
}

const SIGNS: Readonly<Record<Notice['kind'], string>> = {
  failure: '✖',
  reminder: '✖',
  recovery: '✔',
  result: '✔',
  'held-back': '▲',
  test: '·',
};

/** A notice as Slack and what is compatible with it (Mattermost, Rocket.Chat) take it. */
export function noticeToSlack({ kind, title, cause, next, runId }: Notice, host: string): string {
  const lines = [`${SIGNS[kind]} *${escaped(title)}*`, escaped(cause), `Next: \`${escaped(next.replaceAll('`', "'"))}\``];
  const context = [host, ...(runId === undefined ? [] : [runId])].map(escaped).join(' · ');
  return JSON.stringify({ text: [...lines, context].join('\n') });
}

/** What Slack would take for a link, a mention or an entity. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
