import { formatBytes } from '../../domain/bytes.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import type { ReseedChoice } from '../../domain/topology/reseed-method.ts';
import type { ReseedOption } from '../../domain/topology/reseed-option.ts';
import { renderTable } from './table.ts';

/** Every way with its price, the chosen one marked, and why each other one was refused. */
export function renderReseedOptions({ options, chosen }: ReseedChoice): string {
  return renderTable(
    ['', 'METHOD', 'FROM', 'MOVED', 'OF THE PRIMARY', 'ABOUT', 'WHY'],
    options.map((option) => [option === chosen ? '→' : '', option.method, option.source?.name ?? '', ...priceOf(option)]),
  );
}

function priceOf(option: ReseedOption): readonly string[] {
  if (option.kind === 'refused') return ['-', '-', '-', `refused: ${option.reason}`];
  const { bytesMoved, primaryBytes, seconds } = option.price;
  return [formatBytes(bytesMoved), formatBytes(primaryBytes), formatDuration(seconds), option.reason];
}
