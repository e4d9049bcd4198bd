import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { labUp } from '../../src/lab/up.ts';

/** Makes a lab as the command line does, in a process that a test may kill: lab-host.ts <directory> <options as JSON> */
const [directory = '', options = '{}'] = process.argv.slice(2);
const processes = createProcessRunner();
await labUp(
  { directory, ...(JSON.parse(options) as object) },
  {
    processes,
    instances: createInstanceReader({ runner: processes }),
    signal: new AbortController().signal,
    report: (line) => process.stdout.write(`${line}\n`),
  },
);
process.stdout.write('done\n');
