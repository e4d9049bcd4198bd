import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** What makes a module hidden from its tests: time, chance and the environment come in through ports. */
const impureGlobals = [
  'process',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'console',
  'performance',
  'crypto',
];
const impureProperties = [
  { object: 'Date', property: 'now', message: 'The instant is an argument here, or comes from the Clock port.' },
  { object: 'Math', property: 'random', message: 'A seed is an argument here.' },
];
const noProcessExit = {
  selector: "MemberExpression[object.name='process'][property.name=/^(exit|reallyExit|abort)$/]",
  message: 'Only src/main.ts ends the program: throw a SpokeError.',
};
const noCurrentDate = { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'The instant is an argument here.' };

export default defineConfig(
  globalIgnores(['dist/', 'dist.*/', 'coverage/', 'node_modules/', 'tools/', '**/*.cjs', 'bench/results/', 'test/fixtures/']),
  {
    files: ['**/*.ts', '**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['*.js', 'bin/*.cjs'] } } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingAny: false, allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingAny: true, allowThrowingUnknown: true }],
      '@typescript-eslint/require-array-sort-compare': 'error',
      '@typescript-eslint/restrict-plus-operands': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 350 }],
      'max-lines-per-function': ['error', { max: 70, skipComments: true, skipBlankLines: true }],
      'max-params': ['error', { max: 6 }],
      'no-eval': 'error',
      'no-unsafe-finally': 'error',
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'] }],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts', 'src/cli/**', 'src/lab/**'],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts'],
    rules: { 'no-restricted-syntax': ['error', noProcessExit] },
  },
  {
    files: ['src/domain/**/*.ts', 'src/plan/**/*.ts', 'src/workflows/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...impureGlobals],
      'no-restricted-properties': ['error', ...impureProperties],
      'no-restricted-syntax': ['error', noProcessExit, noCurrentDate],
    },
  },
  {
    files: ['src/workflows/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/ports/*'],
              importNames: ['WritePorts', 'BackupEngine', 'InstanceControl', 'PostgresWriter', 'RunWriter', 'ServiceControl'],
              message: 'Workflows observe and plan. What could change something is given to the engine only, so that a dry run cannot.',
            },
          ],
        },
      ],
    },
  },
  {
    // A describe block is a list of tests, and a table of cases is as long as it has to be.
    files: ['test/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', 'max-lines': ['error', { max: 600 }], '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
