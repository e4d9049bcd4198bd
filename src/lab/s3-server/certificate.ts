import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool, type LabContext } from '../context.ts';

export interface Certificate {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const KEY_TYPE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const VALID = ['-days', '365'];

/** Makes an authority of the lab's own and a certificate for localhost and 127.0.0.1. The authority's key is of no use afterwards. */
export async function makeCertificate(directory: string, context: LabContext): Promise<Certificate> {
  const path = (name: string) => join(directory, name);
  const openssl = (...argv: string[]) => runTool(context, { file: 'openssl', argv, cwd: directory });
  await openssl(
    'req',
    '-x509',
    ...KEY_TYPE,
    ...VALID,
    '-subj',
    '/CN=spoke-backup lab CA',
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.pem'),
  );
  await openssl('req', ...KEY_TYPE, '-subj', '/CN=localhost', '-keyout', path('server.key'), '-out', path('server.csr'));
  // pgBackRest compares an address, too, with the DNS names.
  await writeFile(path('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:127.0.0.1\n');
  const signing = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', path('extensions')];
  await openssl('x509', '-req', '-in', path('server.csr'), ...signing, ...VALID, '-out', path('server.pem'));
  return { caFile: path('ca.pem'), certificateFile: path('server.pem'), keyFile: path('server.key') };
}
