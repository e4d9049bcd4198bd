import { SpokeError } from '../../errors.ts';
import type { Environment } from '../context.ts';
import type { S3Server } from './s3-server.ts';

/**
 * The server that SPOKE_LAB_S3_ENDPOINT, _BUCKET, _ACCESS_KEY and _SECRET_KEY name (and, optional, _REGION and _CA_FILE);
 * undefined where the first is not set. Throws USAGE where one of the others is missing.
 */
export function externalServer(environment: Environment): S3Server | undefined {
  const variable = (name: string): string | undefined => environment[`SPOKE_LAB_S3_${name}`];
  const endpoint = variable('ENDPOINT');
  if (endpoint === undefined || endpoint === '') return undefined;
  const required = (name: string): string => {
    const value = variable(name);
    if (value !== undefined && value !== '') return value;
    throw new SpokeError('USAGE', `SPOKE_LAB_S3_ENDPOINT is set, but SPOKE_LAB_S3_${name} is not.`, {
      hint: `export SPOKE_LAB_S3_${name}=…`,
    });
  };
  if (!URL.canParse(endpoint) || new URL(endpoint).protocol !== 'https:') {
    throw new SpokeError(
      'USAGE',
      'SPOKE_LAB_S3_ENDPOINT must be a URL that begins with https://, since pgBackRest speaks S3 over TLS only.',
    );
  }
  const caFile = variable('CA_FILE');
  return {
    kind: 'external',
    description: 'the S3 server named by SPOKE_LAB_S3_ENDPOINT',
    endpoint: new URL(endpoint).origin,
    region: variable('REGION') ?? 'us-east-1',
    bucket: required('BUCKET'),
    accessKey: required('ACCESS_KEY'),
    secretKey: required('SECRET_KEY'),
    pids: [],
    ...(caFile !== undefined && caFile !== '' && { caFile }),
  };
}
