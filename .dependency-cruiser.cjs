/**
 * Which room of the house may look into which. The layers, from the inside out:
 *
 *   errors <- domain <- { plan, ports } <- workflows <- engine <- shells (cli, daemon, lab)
 *
 * agent is a shell, too, that knows nothing of how its cluster is put together.
 * config/model and telemetry/events are words that several layers share; adapters hang on ports alone.
 * test/unit/tooling/layers.test.ts shows that each rule fires.
 */

/** A rule by which the files in `from` import nothing of this program but `allowed` (and themselves). */
function onlyImports(name, from, allowed, comment) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from },
    to: { path: '^src/', pathNot: allowed },
  };
}

/** A rule by which a package is known in one place only. */
function packageOnlyIn(name, packages, places) {
  return {
    name,
    comment: `${packages} is known only in ${places}: whoever wants to replace it changes one place.`,
    severity: 'error',
    from: { path: '^src/', pathNot: places },
    to: { path: `(^|/)node_modules/(${packages})/` },
  };
}

const pure = '^src/(domain|plan|workflows)/';
const words = '^src/(errors\\.ts|domain/|config/model\\.ts)';

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-development-packages',
      comment: 'What the program needs stands in dependencies.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'not-from-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|scripts|bench)/' } },
    {
      name: 'pure-without-node',
      comment: 'Domain, plans and workflows see the world through ports only.',
      severity: 'error',
      from: { path: pure },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'domain-without-packages',
      comment: 'The domain checks its values itself. Time zones are the one thing that it does not know.',
      severity: 'error',
      from: { path: '^src/(errors\\.ts|domain/)' },
      to: { path: '(^|/)node_modules/', pathNot: '(^|/)node_modules/temporal-polyfill/' },
    },
    onlyImports('errors-import-nothing', '^src/errors\\.ts$', '^src/errors\\.ts$', 'The registry of errors stands below everything.'),
    onlyImports('domain-imports', '^src/domain/', '^src/(errors\\.ts|domain/)', 'The domain knows no other layer.'),
    onlyImports('plan-imports', '^src/plan/', `${words}|^src/(plan|ports)/`, 'A plan is data: words of the domain and of the ports.'),
    onlyImports('ports-import', '^src/ports/', `${words}|^src/ports/`, 'A port speaks the words of the domain.'),
    onlyImports(
      'workflows-import',
      '^src/workflows/',
      `${words}|^src/(plan|ports|workflows)/`,
      'Workflows observe and plan; they act on nothing.',
    ),
    onlyImports(
      'engine-imports',
      '^src/engine/',
      `${words}|^src/(plan|ports|workflows|engine)/|^src/telemetry/events\\.ts`,
      'The engine sees adapters only as ports.',
    ),
    onlyImports(
      'agent-imports',
      '^src/agent/',
      `${words}|^src/(plan|ports|engine|agent)/`,
      'What serves another host is handed its cluster: it does what it is told.',
    ),
    onlyImports(
      'config-imports',
      '^src/config/',
      '^src/(errors\\.ts|domain/|ports/|config/)',
      'Configuration is read before anything else is there.',
    ),
    onlyImports('telemetry-imports', '^src/telemetry/', `${words}|^src/(plan|ports|telemetry)/`, 'Sinks see events; they steer nothing.'),
    onlyImports('adapters-import', '^src/adapters/', `${words}|^src/(ports|adapters)/`, 'Adapters hang on ports alone.'),
    {
      name: 'adapters-apart',
      comment: 'An adapter reaches another one only through its port; what several need of node:fs is in common/.',
      severity: 'error',
      from: { path: '^src/adapters/([^/]+)/' },
      to: { path: '^src/adapters/', pathNot: '^src/adapters/($1|common)/' },
    },
    {
      name: 'adapters-built-in-one-place',
      comment: 'composition.ts and its neighbours build the adapters; the laboratory builds its own.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(composition[-a-z]*\\.ts|lab/|adapters/)' },
      to: { path: '^src/adapters/' },
    },
    {
      name: 'shells-last',
      comment: 'Nothing but shells knows shells.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|composition[-a-z]*\\.ts|cli/|daemon/|lab/|agent/)' },
      to: { path: '^src/(main|composition[-a-z]*)\\.ts$|^src/(cli|daemon|lab|agent)/' },
    },
    packageOnlyIn('pg-in-postgres', 'pg|pg-protocol', '^src/adapters/postgres/'),
    packageOnlyIn('aws-sdk-in-s3', '@aws-sdk|@smithy', '^src/adapters/s3/'),
    packageOnlyIn('node-cron-in-daemon', 'node-cron', '^src/daemon/'),
    packageOnlyIn('pino-in-telemetry', 'pino', '^src/telemetry/'),
    packageOnlyIn('nodemailer-in-notify', 'nodemailer', '^src/adapters/notify/'),
    packageOnlyIn('commander-in-cli', 'commander', '^src/(cli/|main\\.ts)'),
    {
      name: 'processes-through-the-runner',
      comment: 'Processes are started by the runner, which ends them with us; a server and the laboratory shall outlive us.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(adapters/process/|adapters/instance/start-server\\.ts$|lab/)' },
      to: { path: '^(node:)?child_process$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
    combinedDependencies: false,
  },
};
