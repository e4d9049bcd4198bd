import { describe, expect, it } from 'vitest';
import { NO_OTHER_HOSTS, withHosts, withPreviewsOfHosts } from '../../../src/engine/on-hosts.ts';
import type { StepHandlers } from '../../../src/engine/step-handler.ts';
import type { HostControl, HostReader } from '../../../src/ports/hosts.ts';
import { planOf, step } from './machinery.ts';

const context = { signal: new AbortController().signal };

/** This host, and one called replica-2; what each is asked for is written down. */
function twoHosts() {
  const done: string[] = [];
  const handler = {
    preview: () => [{ argv: ['here'] }],
    run: ({ id }: { readonly id: string }) => Promise.resolve({ here: done.push(`here ${id}`) }),
  };
  const hosts: HostReader = {
    isElsewhere: (place) => place === 'replica-2',
    look: (place) => Promise.resolve({ preview: ({ id }: { readonly id: string }) => Promise.resolve([{ argv: [place, id] }]) } as never),
  };
  const hostControl: HostControl = { runStep: ({ id, on }) => Promise.resolve({ there: done.push(`${String(on)} ${id}`) }) };
  const local = { 'create-repositories': handler } as unknown as StepHandlers;
  return {
    done,
    hosts,
    handlers: withHosts(local, { hosts, hostControl })['create-repositories'],
    all: withHosts(local, { hosts, hostControl }),
  };
}

describe('a step', () => {
  it('is done here where it names no place, or one that is here; elsewhere on the host of its place', async () => {
    const { done, handlers } = twoHosts();
    for (const one of [step('a'), step('b', { on: 'replica-1' }), step('c', { on: 'replica-2' })]) await handlers.run(one, context);
    expect(done).toEqual(['here a', 'here b', 'replica-2 c']);
  });

  it('shows where it would be done', () => {
    const { handlers } = twoHosts();
    expect(handlers.preview(step('a'))).toEqual([{ argv: ['here'] }]);
    expect(handlers.preview(step('c', { on: 'replica-2' }))).toEqual([{ argv: ['(on replica-2)', 'here'] }]);
  });

  it('shows what its host says, where that was asked', async () => {
    const { all, hosts } = twoHosts();
    const [near, far] = [step('a'), step('c', { on: 'replica-2' })];
    const asked = (await withPreviewsOfHosts(planOf(near, far), all, hosts, context))['create-repositories'];
    expect(asked.preview(near)).toEqual([{ argv: ['here'] }]);
    expect(asked.preview(far)).toEqual([{ argv: ['(on replica-2)', 'replica-2', 'c'] }]);
  });

  it('is always done here where there is no other host', async () => {
    expect(NO_OTHER_HOSTS.hosts.isElsewhere('replica-2')).toBe(false);
    await expect(NO_OTHER_HOSTS.hosts.look('replica-2', context)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(NO_OTHER_HOSTS.hostControl.runStep(step('a', { on: 'x' }), context)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
