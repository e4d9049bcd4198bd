import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, parseDocument } from 'yaml';
import type { Lab } from '../../harness/lab.ts';

/** Changes the lab's own configuration and lets the cluster follow it. */
export async function reconfigure(lab: Lab, change: (document: Document.Parsed) => void): Promise<void> {
  await writeChanged(lab, lab.description.config, change);
  await lab.json('setup', 'archiving', '--confirm', 'lab');
}

async function writeChanged(lab: Lab, path: string, change: (document: Document.Parsed) => void): Promise<void> {
  const document = parseDocument(await readFile(lab.description.config, 'utf8'));
  change(document);
  await writeFile(path, document.toString());
}

/** A copy of the lab's configuration with something changed; whoever runs the servers can read it. */
export async function configurationWith(lab: Lab, name: string, change: (document: Document.Parsed) => void): Promise<string> {
  const path = join(lab.directory, `${name}.yaml`);
  await writeChanged(lab, path, change);
  return path;
}

/** A second repository on local disk. */
export async function addLocalRepository(lab: Lab, name: string): Promise<void> {
  const repository = { name, kind: 'local', path: join(lab.directory, `repository-${name}`) };
  await reconfigure(lab, (document) => document.addIn(['clusters', 'lab', 'repositories'], repository));
}
