import type { BouncerObservation } from '../../src/ports/pgbouncer.ts';
import { FakeBouncer } from './setup.ts';
import type { FakeWorld } from './world.ts';

/** A PgBouncer that goes by its file, as it was when it last read it. */
export class RoutingBouncer extends FakeBouncer {
  #text = '';
  readonly #file: string;
  readonly #world: FakeWorld;

  constructor(world: FakeWorld, file: string, databases: readonly string[]) {
    super(databases);
    this.#world = world;
    this.#file = file;
    this.reload();
  }

  override reload(): void {
    super.reload();
    this.#text = this.#world.fs.readFile(this.#file) ?? '';
  }

  /** With the machine: nobody waits any more. */
  restart(): void {
    this.paused.clear();
    this.reload();
  }

  override observe(): BouncerObservation {
    const { databases, ...others } = super.observe();
    return { ...others, databases: databases.map((one) => ({ ...one, port: this.#portOf(one.name) ?? one.port })) };
  }

  /** Where clients of a database come to; undefined where they wait. */
  portOf(database: string): number | undefined {
    return this.paused.has(database) ? undefined : this.#portOf(database);
  }

  #portOf(database: string): number | undefined {
    const line = this.#text.split('\n').find((one) => one.startsWith(`${database} = `));
    const port = /\bport=(\d+)/.exec(line ?? '')?.[1];
    return port === undefined ? undefined : Number(port);
  }
}
