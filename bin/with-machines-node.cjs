// Starts the built program where Node is the machine's own, whose age nobody has looked at yet.
// Written so that an old Node understands it: it is the one that has to say what is wrong.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const OLDEST_NODE = 24;
const EXIT_TOOL_FAILED = 22;

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  const bootstrap = join(__dirname, '../scripts/bootstrap.sh');
  const next = existsSync(bootstrap) ? `Get it with: ${bootstrap} node` : 'Install it and put it first in PATH.';
  process.stderr.write(`spoke-backup: Node ${OLDEST_NODE} or later is needed; ${process.execPath} is ${process.version}. ${next}\n`);
  process.exitCode = EXIT_TOOL_FAILED;
} else {
  require('../dist/main.cjs');
}
