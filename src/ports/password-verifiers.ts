/** SCRAM verifiers (RFC 5802, RFC 7677), with which a server checks a password that it does not have. */
export interface PasswordVerifiers {
  /** A new one, with a salt of its own; as pg_authid has them. */
  create(password: string): Promise<string>;
  /** Whether the verifier is one of that password. False for anything that is not a SCRAM verifier. */
  matches(verifier: string, password: string): Promise<boolean>;
}
