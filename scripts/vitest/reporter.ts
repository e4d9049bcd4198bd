import { relative } from 'node:path';
import type { SerializedError, UserConsoleLog } from 'vitest';
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import { killAll, processesLeftBelow, TEST_ROOT_VARIABLE } from './test-root.ts';

interface Failure {
  readonly where: string;
  readonly errors: readonly unknown[];
}

/**
 * One line a test file while they run; at the end what was skipped and why, what passed at the second try only and why not at
 * the first, then the failures, and as the very last line `N passed, N failed, N skipped`. A file that cannot be loaded, a
 * failing hook and an unhandled rejection each count as one failure.
 */
export default class SummaryReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onUserConsoleLog(log: UserConsoleLog): void {
    process.stdout.write(log.content);
  }

  onTestModuleEnd(module: TestModule): void {
    const tests = [...module.children.allTests()];
    const failed = tests.filter((test) => test.result().state === 'failed').length;
    const counts = failed > 0 ? `${failed} of ${tests.length} failed` : `${tests.length}`;
    const seconds = (module.diagnostic().duration / 1000).toFixed(1);
    print(`${module.ok() ? '✔' : '✖'} ${pathOf(module)} (${counts}) ${seconds} s`);
  }

  async onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Promise<void> {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => test.result().state === 'skipped');
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    const failures = [...modules.flatMap(failuresOf), ...unhandled.map(unhandledFailure), ...(await leftovers())];

    for (const test of skipped.filter(isMeantToBeSkipped))
      print(`skipped: ${whySkipped(test)} (${pathOf(test.module)} > ${test.fullName})`);
    for (const test of tests.filter((one) => one.diagnostic()?.flaky === true)) this.#printSecondTry(test);
    for (const failure of failures) this.#printFailure(failure);
    if (failures.length > 0) process.exitCode = 1;
    if (tests.length === 0 && failures.length === 0) print('no test was found');
    print(`${passed} passed, ${failures.length} failed, ${skipped.length} skipped`);
  }

  #printSecondTry(test: TestCase): void {
    print(`\nonly at the second try: ${pathOf(test.module)} > ${test.fullName}`);
    for (const error of test.result().errors ?? []) this.#vitest?.logger.printError(error);
  }

  #printFailure({ where, errors }: Failure): void {
    print(`\n✖ FAILED ${where}`);
    for (const error of errors) this.#vitest?.logger.printError(error);
  }
}

function failuresOf(module: TestModule): Failure[] {
  const failures: Failure[] = [];
  const add = (node: TestModule | TestSuite | TestCase, errors: readonly unknown[]): void => {
    const name = node.type === 'module' ? '' : ` > ${node.fullName}`;
    failures.push({ where: `${pathOf(module)}${name}`, errors });
  };
  if (module.errors().length > 0) add(module, module.errors());
  for (const suite of module.children.allSuites()) if (suite.errors().length > 0) add(suite, suite.errors());
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === 'failed') add(test, result.errors);
  }
  return failures;
}

function unhandledFailure(error: SerializedError): Failure {
  return { where: `outside of any test: ${String(error['type'] ?? 'unhandled error')}`, errors: [error] };
}

/** What a file whose process died could not notice itself. */
async function leftovers(): Promise<Failure[]> {
  const root = process.env[TEST_ROOT_VARIABLE];
  if (root === undefined) return [];
  const processes = await processesLeftBelow(root, 3_000);
  killAll(processes);
  return processes.map(({ pid, command }) => ({ where: `process ${pid} was left running: ${command}`, errors: [] }));
}

/** Not so where it was left out because a hook before it failed. */
function isMeantToBeSkipped(test: TestCase): boolean {
  const result = test.result();
  return test.options.mode !== 'run' || (result.state === 'skipped' && result.note !== undefined);
}

function whySkipped(test: TestCase): string {
  const result = test.result();
  return (result.state === 'skipped' ? result.note : undefined) ?? 'no reason given; say it with context.skip("why")';
}

function pathOf(module: TestModule): string {
  return relative(process.cwd(), module.moduleId);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
