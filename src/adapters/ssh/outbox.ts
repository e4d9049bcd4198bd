/** Lines for the standard input of a process, as they come. */
export class Outbox implements AsyncIterable<Uint8Array> {
  readonly #waiting: string[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  put(line: string): void {
    this.#waiting.push(line);
    this.#wake?.();
  }

  /** What was put before is still written; then the input ends. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /** Not a generator: whoever stops reading must not have to wait for the next line. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const line = this.#waiting.shift();
      if (line !== undefined) return { value: new TextEncoder().encode(`${line}\n`) };
      if (this.#isClosed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
