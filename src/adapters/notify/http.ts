import { DeliveryFault, faultOf } from './fault.ts';

const TIMEOUT_MS = 10_000;
const LONGEST_ANSWER = 200;

export interface Posting {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Posts, and resolves with the beginning of the answer. Throws DeliveryFault, also for any status but 2xx: redirections are not followed, what we say is for one address. */
export async function post(url: URL, { body, headers }: Posting, signal: AbortSignal): Promise<string> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const { bare, authorization } = withoutCredentials(url);
    const response = await fetch(bare, {
      ...{ method: 'POST', redirect: 'manual', body, signal: AbortSignal.any([signal, limit]) },
      headers: { 'user-agent': 'spoke-backup', ...authorization, ...headers },
    });
    const answer = (await response.text()).slice(0, LONGEST_ANSWER);
    if (!response.ok) throw new DeliveryFault(`it answered with status ${response.status}`, isTransient(response.status));
    return answer;
  } catch (thrown) {
    if (limit.aborted) throw new DeliveryFault(`it did not answer within ${TIMEOUT_MS / 1000} s`, true);
    throw faultOf(thrown);
  }
}

/** The address from its secret. Throws DeliveryFault, which does not repeat it. */
export function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === 'https:' || url.protocol === 'http:')) return url;
  throw new DeliveryFault('its url is no http:// or https:// address', false);
}

/** fetch takes no address with a password in it. */
function withoutCredentials(url: URL): { readonly bare: URL; readonly authorization: Record<string, string> } {
  if (url.username === '' && url.password === '') return { bare: url, authorization: {} };
  const bare = new URL(url);
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  bare.username = bare.password = '';
  return { bare, authorization: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } };
}

function isTransient(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}
