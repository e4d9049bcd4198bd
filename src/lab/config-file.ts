import type { LabDescription } from './description.ts';
import type { LabLayout } from './layout.ts';
import { REPLICATION_ROLE, SUPERUSER } from './layout.ts';

const LAB_CLUSTER = 'lab';

/** The text of the lab's configuration file. Secrets are references to files. */
export async function labConfigText(lab: LabDescription, layout: LabLayout, pgbackrestCommand: string): Promise<string> {
  const { stringify } = await import('yaml');
  const nodes = [lab.primary, ...lab.standbys].map((node) => ({
    name: node.name,
    url: `postgresql://${SUPERUSER}:\${file:${layout.superuserPassword}}@127.0.0.1:${node.port}/postgres`,
    dataDirectory: node.dataDirectory,
    socketDirectory: node.socketDirectory,
    port: node.port,
  }));
  const pgbackrest = { command: pgbackrestCommand, lockPath: `${layout.pgbackrest}/lock`, spoolPath: `${layout.pgbackrest}/spool` };
  const cluster = {
    ...(lab.engine === 'native' ? { engine: 'native' } : {}),
    postgresqlBinDirectory: lab.postgresqlBinDirectory,
    ...(lab.engine === 'native' ? {} : { pgbackrest }),
    nodes,
    replication: { role: REPLICATION_ROLE, password: `\${file:${layout.replicationPassword}}` },
    repositories: repositoriesOf(lab, layout),
  };
  const comment = '# The lab of spoke-backup: disposable, gone with `spoke-backup lab down`.\n';
  return comment + stringify({ stateDirectory: lab.stateDirectory, clusters: { [LAB_CLUSTER]: cluster } }, { lineWidth: 0 });
}

/** With what else its kind needs. */
interface NamedRepository extends Readonly<Record<string, unknown>> {
  readonly name: string;
}

/** Of both engines in one place each: they keep to folders of their own. */
function repositoriesOf(lab: LabDescription, layout: LabLayout): readonly object[] {
  const own = [{ name: 'local', kind: 'local', path: layout.repository }, ...s3Repository(lab)];
  if (lab.engine !== 'both') return own;
  return [...own, ...own.map((repository) => ({ ...repository, name: `native-${repository.name}`, engine: 'native' }))];
}

function s3Repository(lab: LabDescription): readonly NamedRepository[] {
  const { s3 } = lab;
  if (s3 === undefined) return [];
  const { hostname, port } = new URL(s3.endpoint);
  return [
    {
      name: 's3',
      kind: 's3',
      bucket: s3.bucket,
      endpoint: hostname,
      ...(port !== '' && { port: Number(port) }),
      region: s3.region,
      pathPrefix: s3.pathPrefix,
      uriStyle: 'path',
      ...(s3.caFile !== undefined && { caFile: s3.caFile }),
      accessKey: `\${file:${s3.accessKeyFile}}`,
      secretKey: `\${file:${s3.secretKeyFile}}`,
      checksums: 'when_required',
    },
  ];
}
