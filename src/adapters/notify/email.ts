import { readFile } from 'node:fs/promises';
import type { Notice } from '../../domain/notices/notice.ts';
import { codeOf, DeliveryFault } from './fault.ts';
import type { EmailSettings } from './settings.ts';
import { noticeToText } from './texts.ts';

const TIMEOUT_MS = 20_000;
/** The server's answer is never repeated: some quote what was sent. */
const FINAL_CODES: Readonly<Record<string, string>> = {
  EAUTH: 'the mail server did not accept user and password',
  EENVELOPE: 'the mail server did not accept the sender or a recipient',
  ETLS: 'the mail server does not speak TLS as it should',
};

/** Mail by SMTP. Throws DeliveryFault or SECRET_UNAVAILABLE. */
export async function sendEmail(settings: EmailSettings, notice: Notice, host: string, signal: AbortSignal): Promise<void> {
  const transport = await openTransport(settings);
  const ending = untilAborted(signal);
  try {
    const { from, to } = settings;
    const sending = transport.sendMail({
      ...{ from, to: [...to], subject: `[spoke-backup] ${notice.title}`, text: noticeToText(notice, host) },
      ...{ messageId: messageIdOf(notice), headers: { 'Auto-Submitted': 'auto-generated' } },
    });
    const { rejected } = await Promise.race([sending, ending.aborted]);
    if (rejected.length > 0) throw new DeliveryFault(`the mail server refused ${rejected.length} of ${to.length} recipients`, false);
  } catch (thrown) {
    throw mailFault(thrown);
  } finally {
    ending.forget();
    transport.close();
  }
}

/** nodemailer takes no signal: a connection that waits goes on waiting by itself, and nobody waits for it. */
function untilAborted(signal: AbortSignal): { readonly aborted: Promise<never>; forget(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new DeliveryFault('everything was to end', false));
  promise.catch(() => undefined);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort);
  return { aborted: promise, forget: () => signal.removeEventListener('abort', onAbort) };
}

async function openTransport({ host, port, security, caFile, user, password }: EmailSettings) {
  const auth = user === undefined ? {} : { auth: { user, pass: password === undefined ? '' : await password() } };
  const { createTransport } = await import('nodemailer');
  return createTransport({
    ...{ host, port, ...auth },
    ...{ secure: security === 'tls', requireTLS: security === 'starttls', ignoreTLS: security === 'none' },
    ...(caFile === undefined ? {} : { tls: { ca: await readFile(caFile) } }),
    ...{ connectionTimeout: TIMEOUT_MS, greetingTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS, dnsTimeout: TIMEOUT_MS },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
}

/** The same for every attempt: a mail server that has it already need not deliver it twice. */
function messageIdOf({ id }: Notice): string {
  const digest = process.getBuiltinModule('node:crypto').createHash('sha256').update(id).digest('hex');
  return `<${digest.slice(0, 32)}@spoke-backup.invalid>`;
}

function mailFault(thrown: unknown): DeliveryFault {
  if (thrown instanceof DeliveryFault) return thrown;
  const code = codeOf(thrown);
  const status: unknown = thrown instanceof Error ? Reflect.get(thrown, 'responseCode') : undefined;
  const answered = typeof status === 'number' ? `status ${status}` : undefined;
  const isTransient = typeof status === 'number' ? status < 500 : code === undefined || FINAL_CODES[code] === undefined;
  const what = (code === undefined ? undefined : FINAL_CODES[code]) ?? 'the mail could not be handed over';
  const why = [code, answered].filter((one) => one !== undefined).join(', ');
  return new DeliveryFault(why === '' ? what : `${what} (${why})`, isTransient);
}
