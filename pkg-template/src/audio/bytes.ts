// Bytes of a stream, taken as many at a time as are wanted.
import type { VotiveError } from '../errors.js';

/** Reads a stream of bytes in pieces of a caller's choice; holds no more than one of them. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ended = false;
  readonly #explain: (cause: unknown) => VotiveError;

  /** `explain` says what it means when the stream breaks. */
  constructor(stream: ReadableStream<Uint8Array>, explain: (cause: unknown) => VotiveError) {
    this.#reader = stream.getReader();
    this.#explain = explain;
  }

  /** The next bytes without taking them; fewer than `length` only at the end. */
  async peek(length: number): Promise<Uint8Array> {
    await this.#fill(length);
    if (this.#held.length > 1) this.#held = [joined(this.#held, this.#heldBytes)];
    return this.#held[0]?.subarray(0, length) ?? new Uint8Array(0);
  }

  /** The next bytes; fewer than `length` only at the end. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = await this.peek(length);
    this.#drop(bytes.length);
    return bytes;
  }

  /** Leaves bytes out. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      if (this.#heldBytes === 0) await this.#fill(1);
      if (this.#heldBytes === 0) return;
      const now = Math.min(left, this.#heldBytes);
      this.#drop(now);
      left -= now;
    }
  }

  /** All that is left, at most `limit` bytes; `undefined` where there are more. */
  async rest(limit: number): Promise<Uint8Array | undefined> {
    await this.#fill(limit + 1);
    return this.#heldBytes > limit ? undefined : this.take(this.#heldBytes);
  }

  close(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#ended = true;
    // What a stream says to being ended does not matter any more.
    this.#reader.cancel().catch(() => undefined);
  }

  async #fill(length: number): Promise<void> {
    while (this.#heldBytes < length && !this.#ended) {
      const { value, done } = await this.#reader.read().catch((cause: unknown) => {
        throw this.#explain(cause);
      });
      if (done) this.#ended = true;
      else if (value.length > 0) {
        this.#held.push(value);
        this.#heldBytes += value.length;
      }
    }
  }

  #drop(count: number): void {
    this.#heldBytes -= count;
    while (count > 0) {
      const first = this.#held[0] as Uint8Array;
      if (first.length > count) {
        this.#held[0] = first.subarray(count);
        return;
      }
      this.#held.shift();
      count -= first.length;
    }
  }
}

function joined(parts: Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
