import { SpokeError } from '../../src/errors.ts';
import type { FakeWorld } from './world.ts';

/** What happens to a process at one of its points: a change of the world, or a sleep. */
export interface Disturbance {
  readonly kind: 'crash' | 'machine crash' | 'cancel' | 'act';
  /** `during`: half of the change is done, where it can be done by halves. */
  readonly moment: 'before' | 'during' | 'after';
  /** Of `act`: what somebody else does meanwhile, at a point of that name. */
  readonly act?: (point: string) => void;
}

/** Thrown into a process that is dead: nothing that it does from here on reaches the world. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';
}

/** The process that this program runs in. It counts the points at which it touches the world, and dies at the one it is told to. */
export class FakeProcess {
  readonly world: FakeWorld;
  readonly pid: number;
  isAlive = true;
  /** How many points were passed. */
  points = 0;
  /** Names of the points, in order. */
  readonly passed: string[] = [];
  readonly #disturbances: ReadonlyMap<number, Disturbance>;
  readonly #controller = new AbortController();

  constructor(world: FakeWorld, options: { readonly pid?: number; readonly disturbances?: ReadonlyMap<number, Disturbance> } = {}) {
    this.world = world;
    this.pid = options.pid ?? 100;
    this.#disturbances = options.disturbances ?? new Map();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async read<T>(look: () => T): Promise<T> {
    await Promise.resolve();
    this.#requireAlive();
    return look();
  }

  /** A change of the world. `half` is what is left of it where it was cut off; without one it happens whole or not at all. */
  change<T>(name: string, whole: () => T, half?: (kind: Disturbance['kind']) => void): Promise<T> {
    return this.#pass(name, () => this.#changed(whole), half === undefined ? undefined : (kind) => this.#changed(() => half(kind)));
  }

  /** Time passes: the process changes nothing itself. */
  sleep(ms: number): Promise<void> {
    return this.#pass('sleep', () => this.world.advance(ms), undefined);
  }

  async #pass<T>(name: string, whole: () => T, half: ((kind: Disturbance['kind']) => void) | undefined): Promise<T> {
    await Promise.resolve();
    this.#requireAlive();
    this.points += 1;
    this.passed.push(name);
    const disturbance = this.#disturbances.get(this.points);
    if (disturbance === undefined) return whole();
    if (disturbance.moment === 'before') this.#disturb(disturbance);
    if (disturbance.moment === 'during' && half !== undefined) {
      half(disturbance.kind);
      this.#disturb(disturbance);
      if (disturbance.kind === 'cancel') this.signal.throwIfAborted();
    }
    const result = whole();
    if (disturbance.moment === 'after' || (disturbance.moment === 'during' && half === undefined)) this.#disturb(disturbance);
    return result;
  }

  #changed<T>(effect: () => T): T {
    const result = effect();
    this.world.onChange();
    return result;
  }

  #disturb({ kind, act }: Disturbance): void {
    if (kind === 'cancel') this.#controller.abort(new SpokeError('CANCELLED', 'interrupted'));
    if (kind === 'act') act?.(this.passed.at(-1) ?? '');
    if (kind === 'cancel' || kind === 'act') return;
    this.isAlive = false;
    if (kind === 'machine crash') this.world.crashMachine();
    throw new ProcessDied(`${kind} at point ${this.points} (${this.passed.at(-1)})`);
  }

  #requireAlive(): void {
    if (!this.isAlive) throw new ProcessDied('the process is dead');
  }
}
