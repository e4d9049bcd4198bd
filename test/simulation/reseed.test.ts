import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyBlow, playReseed } from './reseed-play.ts';
import { reseedScenario, tellReseed } from './reseed-scenario.ts';
import { simulation } from './seeds.ts';

describe('a reseed that is interrupted', () => {
  it('comes to the same end as one that was not, however often and wherever it dies', async () => {
    await fc.assert(fc.asyncProperty(reseedScenario, fc.array(anyBlow, { maxLength: 3 }), playReseed), simulation(600));
  });

  it.each(['rewind', 'delta', 'backup', 'basebackup'] as const)('is told of by stories with each method: %s', async (method) => {
    const scenario = { standby: 'stopped', slot: 'lost', service: 'pg_ctl', keepOld: true, hasEndpoints: true, hasPassword: true } as const;
    expect((await tellReseed({ ...scenario, method }))?.intent.method).toBe(method);
  });
});
