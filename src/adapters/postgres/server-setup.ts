import { SpokeError } from '../../errors.ts';
import type { HbaFacts, RoleFacts, RoleRequest, ServerSetupReader, ServerSetupWriter, SettingFacts } from '../../ports/server-setup.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { booleanOf, onlyRow, optionalText, textOf } from './row.ts';
import { type Session, withSession } from './session.ts';

const READING = { defaultTimeoutMs: 30_000, writing: false };
const WRITING = { defaultTimeoutMs: 60_000, writing: true };

/** pg_authid, pg_hba.conf and the settings: what only a superuser sees. */
export function createServerSetupReader(): ServerSetupReader {
  return {
    readVerifiers: (address, roles, context) => withSession(address, context, READING, (session) => readVerifiers(session, roles)),
    observeRole: (address, request, context) => withSession(address, context, READING, (session) => observeRole(session, request)),
    observeSettings: (address, names, context) => withSession(address, context, READING, (session) => observeSettings(session, names)),
    observeHba: (address, context) => withSession(address, context, READING, observeHba),
  };
}

export function createServerSetupWriter(): ServerSetupWriter {
  return {
    ensureRole: (address, request, verifier, context) =>
      withSession(address, context, WRITING, (session) => ensureRole(session, request, verifier)),
  };
}

async function readVerifiers(session: Session, roles: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const which = roles.length === 0 ? '' : ` AND rolname IN (${roles.map(quoteLiteral).join(', ')})`;
  const rows = await session.query(
    `SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'SCRAM-SHA-256$%'${which} ORDER BY rolname`,
  );
  return new Map(rows.map((row) => [textOf(row, 'rolname'), textOf(row, 'rolpassword')]));
}

async function observeRole(session: Session, { name, memberOf, mayExecute }: RoleRequest): Promise<RoleFacts | undefined> {
  const literal = quoteLiteral(name);
  const [row] = await session.query(`SELECT rolcanlogin, rolsuper, rolreplication FROM pg_roles WHERE rolname = ${literal}`);
  if (row === undefined) return undefined;
  const holding = async (items: readonly string[], test: (item: string) => string) => {
    const answers = items.map((item) => `SELECT ${quoteLiteral(item)} AS item WHERE ${test(item)}`);
    return answers.length === 0 ? [] : (await session.query(answers.join(' UNION ALL '))).map((each) => textOf(each, 'item'));
  };
  return {
    name,
    canLogin: booleanOf(row, 'rolcanlogin'),
    superuser: booleanOf(row, 'rolsuper'),
    replication: booleanOf(row, 'rolreplication'),
    memberOf: await holding(memberOf, (role) => `pg_has_role(${literal}, ${quoteLiteral(role)}, 'MEMBER')`),
    // What the server does not have need not be allowed.
    mayExecute: await holding(
      mayExecute,
      (signature) =>
        `coalesce(has_function_privilege(${literal}, to_regprocedure(${quoteLiteral(`pg_catalog.${signature}`)}), 'EXECUTE'), true)`,
    ),
  };
}

async function observeSettings(session: Session, names: readonly string[]): Promise<readonly SettingFacts[]> {
  if (names.length === 0) return [];
  const rows = await session.query(
    `SELECT name, setting, unit, vartype, boot_val, context, pending_restart
       FROM pg_settings WHERE name IN (${names.map(quoteLiteral).join(', ')}) ORDER BY name`,
  );
  return rows.map((row) => ({
    name: textOf(row, 'name'),
    value: textOf(row, 'setting'),
    ...optionalText('unit', row, 'unit'),
    type: textOf(row, 'vartype'),
    ...optionalText('bootValue', row, 'boot_val'),
    needsRestart: textOf(row, 'context') === 'postmaster',
    pendingRestart: booleanOf(row, 'pending_restart'),
  }));
}

async function observeHba(session: Session): Promise<HbaFacts> {
  const row = onlyRow(await session.query(`SELECT current_setting('hba_file') AS file, pg_read_file(current_setting('hba_file')) AS text`));
  const errors = await session.query('SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL ORDER BY line_number');
  return {
    file: textOf(row, 'file'),
    text: textOf(row, 'text'),
    errors: errors.map((each) => `line ${textOf(each, 'line_number')}: ${textOf(each, 'error')}`),
  };
}

/** In one transaction. The statement holds a verifier, which is kept out of the server's log: who has it can pretend to be the server. */
async function ensureRole(session: Session, request: RoleRequest, verifier: string | undefined): Promise<void> {
  const role = quoteIdentifier(request.name);
  const before = await observeRole(session, request);
  await session.query('BEGIN');
  await session.query("SET LOCAL log_statement = 'none'");
  await session.query('SET LOCAL log_min_duration_statement = -1');
  await session.query("SET LOCAL log_min_error_statement = 'panic'");
  await session.query('SET LOCAL synchronous_commit = local');
  const password = verifier === undefined ? '' : ` PASSWORD ${quoteLiteral(checkedVerifier(verifier))}`;
  const replication = request.replication && before?.replication !== true ? ' REPLICATION' : '';
  if (before === undefined) await session.query(`CREATE ROLE ${role} LOGIN${replication}${password}`);
  else if (!before.canLogin || replication !== '' || password !== '')
    await session.query(`ALTER ROLE ${role} LOGIN${replication}${password}`);
  for (const other of request.memberOf)
    if (before?.memberOf.includes(other) !== true) await session.query(`GRANT ${quoteIdentifier(other)} TO ${role}`);
  for (const signature of request.mayExecute) if (before?.mayExecute.includes(signature) !== true) await grant(session, signature, role);
  await session.query('COMMIT');
}

/** Functions are called otherwise in other versions (pg_start_backup until 14). */
async function grant(session: Session, signature: string, role: string): Promise<void> {
  const qualified = `pg_catalog.${signature}`;
  const found = onlyRow(await session.query(`SELECT to_regprocedure(${quoteLiteral(qualified)}) IS NOT NULL AS there`));
  if (booleanOf(found, 'there')) await session.query(`GRANT EXECUTE ON FUNCTION ${qualified} TO ${role}`);
}

/** PostgreSQL takes anything else for a password and would hash it itself, having seen it. */
function checkedVerifier(verifier: string): string {
  if (/^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$/.test(verifier)) return verifier;
  throw new SpokeError('INTERNAL', 'a password was to be sent that is not a SCRAM verifier');
}
