interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly words: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const FIELDS: readonly Field[] = [
  { name: 'minute', least: 0, most: 59, words: [] },
  { name: 'hour', least: 0, most: 23, words: [] },
  { name: 'day of the month', least: 1, most: 31, words: [] },
  { name: 'month', least: 1, most: 12, words: MONTHS },
  { name: 'day of the week', least: 0, most: 7, words: WEEKDAYS },
];

/** What is wrong with a cron expression of five fields; undefined where nothing is. Evaluates nothing. */
export function checkCronExpression(expression: string): string | undefined {
  const fields = expression.split(' ');
  if (fields.length !== FIELDS.length) {
    return `it has ${fields.length} fields, not 5 (minute, hour, day of the month, month, day of the week)`;
  }
  for (const [index, field] of FIELDS.entries()) {
    if (!(fields[index] ?? '').split(',').every((item) => isItem(item, field))) return `its ${field.name} cannot be read`;
  }
  if (fields[2] !== '*' && fields[4] !== '*') {
    return 'day of the month and day of the week are both restricted, which programs understand differently; leave one of them *';
  }
  return undefined;
}

// One of: * or 5 or 1-5, the first and the last also with a step (8-18/2).
function isItem(item: string, field: Field): boolean {
  const match = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d{1,2}))?$/i.exec(item);
  if (match === null) return false;
  const [, star, first, last, step] = match;
  if (step !== undefined && (Number(step) < 1 || (star === undefined && last === undefined))) return false;
  if (star !== undefined) return true;
  const from = valueOf(first, field);
  const to = last === undefined ? from : valueOf(last, field);
  return from !== undefined && to !== undefined && from <= to;
}

function valueOf(text: string | undefined, field: Field): number | undefined {
  const word = field.words.indexOf((text ?? '').toLowerCase());
  if (word !== -1) return word + field.least;
  const value = /^\d{1,2}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return value >= field.least && value <= field.most ? value : undefined;
}
