/** An S3 server with an empty bucket, or somebody else's server with an empty prefix in a bucket. */
export interface S3Server {
  /** ceph: our own, which ends with the lab; external: the one named by the environment. */
  readonly kind: 'ceph' | 'external';
  /** For people: what it is. */
  readonly description: string;
  /** https://127.0.0.1:port for our own. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly caFile?: string;
  /** Of its processes; none for an external one. */
  readonly pids: readonly number[];
}
