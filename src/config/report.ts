import { SpokeError } from '../errors.ts';
import type { Position, Problem, YamlSource } from './yaml-source.ts';
import { printPath } from './yaml-source.ts';

/** What follows is mostly a consequence of what came before. */
const MAX_LINES = 50;

/**
 * One CONFIG_INVALID for all problems of a file, in the order of the file.
 * `elsewhere`: problems that are not in the file, such as a variable of the environment.
 */
export function invalidConfiguration(
  path: string,
  problems: readonly Problem[],
  source: YamlSource,
  elsewhere: readonly string[] = [],
): SpokeError {
  const placed = problems
    .map((problem) => ({ problem, at: problem.position ?? source.locateNearest(problem.path) }))
    .sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const lines = [...placed.map(({ problem, at }) => printProblem(problem, path, at)), ...elsewhere];
  const [only = ''] = lines;
  const more = lines.length > MAX_LINES ? `\n  … and ${lines.length - MAX_LINES} more` : '';
  const list =
    lines
      .slice(0, MAX_LINES)
      .map((line) => `\n  ${line}`)
      .join('') + more;
  const message = lines.length === 1 ? only : `${lines.length} problems in the configuration:${list}`;
  const details = placed.slice(0, MAX_LINES).map(({ problem, at }) => ({ ...at, key: printPath(problem.path), problem: problem.message }));
  return new SpokeError('CONFIG_INVALID', message, { details: { path, problems: details } });
}

/** `unknown key "retension" at config.yaml:14:7; did you mean "retention"?` */
function printProblem(problem: Problem, path: string, at: Position): string {
  const subject = problem.help !== undefined || problem.path.length === 0 ? '' : `${printPath(problem.path)} `;
  const help = problem.help === undefined ? '' : `; ${problem.help}`;
  return `${subject}${problem.message} at ${path}:${at.line}:${at.column}${help}`;
}
