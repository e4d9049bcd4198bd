import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimPorts, CLAIM_PORTS } from '../claim-ports.ts';
import { runTool, waitUntil, type LabContext } from '../context.ts';
import { assertAlive, startDaemon, type DaemonRecord } from '../daemon.ts';
import { makeCertificate } from './certificate.ts';
import { CEPH_ENTITIES, cephConfiguration, cephKeyring, GATEWAY_NAME, type CephLayout } from './ceph-config.ts';
import { cephCommand, type CephInstall, type CephProgram } from './ceph-install.ts';

export interface CephKeys {
  readonly accessKey: string;
  readonly secretKey: string;
}

interface Ceph {
  readonly install: CephInstall;
  readonly layout: CephLayout;
  readonly labDirectory: string;
}

/** Starts Ceph with empty state below `directory`; its gateway answers soon on the port that is returned. */
export async function startCeph(
  install: CephInstall,
  place: { readonly labDirectory: string; readonly directory: string; readonly caDirectory: string },
  keys: CephKeys,
  context: LabContext,
): Promise<{ readonly gatewayPort: number; readonly caFile: string; readonly gateway: DaemonRecord; readonly gatewayLog: string }> {
  const { directory, labDirectory } = place;
  for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) await mkdir(join(directory, name), { recursive: true, mode: 0o700 });
  const certificate = await makeCertificate(place.caDirectory, context);
  const [monitorPort = 0, gatewayPort = 0, osdFirstPort = 0] = await claimPorts(labDirectory, CLAIM_PORTS);
  const ports = { monitorPort, gatewayPort, osdFirstPort, osdLastPort: monitorPort + CLAIM_PORTS - 1 };
  const layout: CephLayout = {
    ...{ clusterId: randomUUID(), directory, libraryDirectory: install.libraryDirectory, kmsKey: randomBytes(32).toString('base64') },
    ...ports,
    ...certificate,
  };
  const ceph: Ceph = { install, layout, labDirectory };
  await writeFile(join(directory, 'ceph.conf'), cephConfiguration(layout), { mode: 0o600 });
  await makeKeyring(ceph, context);
  await makeMonitor(ceph, context);
  await startPart(ceph, 'mon', 'ceph-mon', ['-i', 'a', '-f']);
  await run(ceph, 'ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', randomUUID()], context);
  const osd = await startPart(ceph, 'osd', 'ceph-osd', ['-i', '0', '-f']);
  await waitForOsd(ceph, osd, context);
  await makeUser(ceph, keys, context);
  const gateway = await startPart(ceph, 'rgw', 'radosgw', ['-n', GATEWAY_NAME, '-f']);
  return { gatewayPort, caFile: certificate.caFile, gateway, gatewayLog: logFile(ceph, 'rgw') };
}

/** The kind of key differs between versions, so Ceph itself makes them. */
async function makeKeyring(ceph: Ceph, context: LabContext): Promise<void> {
  const keys = await Promise.all(CEPH_ENTITIES.map(() => run(ceph, 'ceph-authtool', ['--gen-print-key'], context)));
  await writeFile(join(ceph.layout.directory, 'keyring'), cephKeyring(keys.map((key) => key.trim())), { mode: 0o600 });
}

async function makeMonitor(ceph: Ceph, context: LabContext): Promise<void> {
  const { clusterId, directory, monitorPort } = ceph.layout;
  const path = (name: string) => join(directory, name);
  const address = `[v2:127.0.0.1:${monitorPort}]`;
  await run(
    ceph,
    'monmaptool',
    ['--create', '--fsid', clusterId, '--addv', 'a', address, '--enable-all-features', path('monmap')],
    context,
  );
  await run(ceph, 'osdmaptool', ['--createsimple', '1', '--with-default-pool', '--clobber', path('osdmap')], context);
  const maps = ['--monmap', path('monmap'), '--osdmap', path('osdmap')];
  await run(ceph, 'ceph-mon', ['--mkfs', '-i', 'a', ...maps, '--keyring', path('keyring')], context);
}

const START_TIMEOUT_MS = 60_000;

/** A client that comes before the OSD is up looks again only after 5 s. */
async function waitForOsd(ceph: Ceph, osd: DaemonRecord, context: LabContext): Promise<void> {
  const log = join(ceph.layout.directory, 'log', 'osd.0.log');
  await waitUntil('the S3 server keeps objects', START_TIMEOUT_MS, context.signal, async () => {
    await assertAlive(osd, logFile(ceph, 'osd'));
    const text = await readFile(log, 'utf8').catch(() => '');
    return text.includes('booting -> active') ? true : undefined;
  });
}

async function makeUser(ceph: Ceph, keys: CephKeys, context: LabContext): Promise<void> {
  const names = ['--uid=lab', '--display-name=lab'];
  await run(
    ceph,
    'radosgw-admin',
    ['user', 'create', ...names, `--access-key=${keys.accessKey}`, `--secret-key=${keys.secretKey}`],
    context,
  );
}

async function run(ceph: Ceph, program: CephProgram, argv: readonly string[], context: LabContext): Promise<string> {
  const command = commandOf(ceph, program, argv);
  const { stdout } = await runTool(context, { ...command, cwd: ceph.layout.directory, timeoutMs: START_TIMEOUT_MS });
  return stdout;
}

function startPart(ceph: Ceph, name: string, program: CephProgram, argv: readonly string[]): Promise<DaemonRecord> {
  const place = { workingDirectory: ceph.layout.directory, logFile: logFile(ceph, name) };
  return startDaemon(ceph.labDirectory, { name: `s3-${name}`, ...commandOf(ceph, program, argv), ...place });
}

function commandOf(ceph: Ceph, program: CephProgram, argv: readonly string[]) {
  const command = cephCommand(ceph.install, program);
  return { file: command.file, argv: [...command.argv, '-c', join(ceph.layout.directory, 'ceph.conf'), ...argv] };
}

function logFile(ceph: Ceph, name: string): string {
  return join(ceph.layout.directory, 'log', `${name}.out`);
}
