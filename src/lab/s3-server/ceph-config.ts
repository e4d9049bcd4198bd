/** What the configuration of one Ceph says: one monitor, one OSD in memory, one gateway, all on 127.0.0.1. */
export interface CephLayout {
  readonly clusterId: string;
  /** State, logs and sockets. */
  readonly directory: string;
  readonly libraryDirectory: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
  /** The OSD takes several of these. */
  readonly osdFirstPort: number;
  readonly osdLastPort: number;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** What LAB_KMS_KEY_ID stands for: 32 bytes in base64. */
  readonly kmsKey: string;
}

export const GATEWAY_NAME = 'client.rgw.lab';
/** The key by which the gateway encrypts what asks for aws:kms. */
export const LAB_KMS_KEY_ID = 'lab';
const MEMORY_BYTES = 8 * 1024 ** 3;

/** ceph.conf. */
export function cephConfiguration(layout: CephLayout): string {
  return [...globalSection(layout), ...gatewaySection(layout), ''].join('\n');
}

function globalSection(layout: CephLayout): readonly string[] {
  const { directory } = layout;
  return [
    '[global]',
    `fsid = ${layout.clusterId}`,
    `mon host = [v2:127.0.0.1:${layout.monitorPort}/0]`,
    'ms bind msgr1 = false',
    'ms bind ipv6 = false',
    `ms bind port min = ${layout.osdFirstPort}`,
    `ms bind port max = ${layout.osdLastPort}`,
    'public addr = 127.0.0.1',
    'cluster addr = 127.0.0.1',
    'auth cluster required = cephx',
    'auth service required = cephx',
    'auth client required = cephx',
    `keyring = ${directory}/keyring`,
    // With the default interval the start takes 13 s.
    'paxos propose interval = 0.02',
    'paxos min wait = 0.01',
    'mon tick interval = 1',
    'mon allow pool size one = true',
    'mon max pg per osd = 2000',
    'mon data avail crit = 1',
    'osd pool default size = 1',
    'osd pool default min size = 1',
    'osd pool default pg num = 1',
    'osd pool default pgp num = 1',
    'osd pool default pg autoscale mode = off',
    'osd crush chooseleaf type = 0',
    'osd objectstore = memstore',
    `memstore device bytes = ${MEMORY_BYTES}`,
    `osd data = ${directory}/osd`,
    `mon data = ${directory}/mon`,
    `run dir = ${directory}/run`,
    'admin socket =',
    `log file = ${directory}/log/$name.log`,
    `mon cluster log file = ${directory}/log/cluster.log`,
    `crash dir = ${directory}/run`,
    `plugin dir = ${layout.libraryDirectory}/ceph`,
    `erasure code dir = ${layout.libraryDirectory}/ceph/erasure-code`,
    `osd class dir = ${layout.libraryDirectory}/rados-classes`,
  ];
}

function gatewaySection(layout: CephLayout): readonly string[] {
  const endpoint = `ssl_endpoint=127.0.0.1:${layout.gatewayPort}`;
  return [
    `[${GATEWAY_NAME}]`,
    `rgw data = ${layout.directory}/rgw`,
    `rgw frontends = beast ${endpoint} ssl_certificate=${layout.certificateFile} ssl_private_key=${layout.keyFile}`,
    // Encryption by the service is tried with a key that lies here, in place of a key management service.
    'rgw crypt s3 kms backend = testing',
    `rgw crypt s3 kms encryption keys = ${LAB_KMS_KEY_ID}=${layout.kmsKey}`,
  ];
}

const CAPABILITIES: Readonly<Record<string, readonly string[]>> = {
  'mon.': ['mon = "allow *"'],
  'client.admin': ['mon = "allow *"', 'osd = "allow *"', 'mgr = "allow *"'],
  'osd.0': ['mon = "allow profile osd"', 'osd = "allow *"'],
  [GATEWAY_NAME]: ['mon = "allow rw"', 'osd = "allow rwx"'],
};

/** Ceph's parts that prove to each other who they are, so that nobody else on the machine can speak with them. */
export const CEPH_ENTITIES: readonly string[] = Object.keys(CAPABILITIES);

/** The keyring with these keys, in the order of CEPH_ENTITIES. */
export function cephKeyring(keys: readonly string[]): string {
  return CEPH_ENTITIES.map((name, index) => {
    const capabilities = (CAPABILITIES[name] ?? []).map((each) => `caps ${each}`);
    return [`[${name}]`, `key = ${keys[index] ?? ''}`, ...capabilities, ''].join('\n');
  }).join('\n');
}
