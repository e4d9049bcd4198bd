import fc from 'fast-check';
import { describe, it } from 'vitest';
import { anyBlow, playReseed } from './reseed-play.ts';
import { rejoinScenario } from './reseed-scenario.ts';
import { simulation } from './seeds.ts';

describe('an old primary that comes back and is interrupted', () => {
  it('streams at the end however often and wherever that dies, and is never a second primary', async () => {
    await fc.assert(fc.asyncProperty(rejoinScenario, fc.array(anyBlow, { maxLength: 3 }), playReseed), simulation(600));
  });
});
