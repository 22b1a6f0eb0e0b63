import { AbortError } from './errors.js';
import type { GenerateEvent } from './engine.js';
import type { GenerationResult } from './types.js';

/** How a generation is run: calls `onEvent` with what happens, and stops when `signal` says so. */
export type Run = (onEvent: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<GenerationResult>;

/**
 * Text as it is generated. It is generated whether it is read or not: iterate over it, or await {@link text} or
 * {@link result}. Leaving a `for await` early stops the generation.
 */
export class TextStream implements AsyncIterable<string> {
  /** All of it, when it is done. After {@link cancel} (or leaving the loop), what there was until then. */
  readonly result: Promise<GenerationResult>;
  readonly #stop = new AbortController();
  readonly #parts: string[] = [];
  readonly #tokens: number[] = [];
  readonly #begin = performance.now();
  #first = 0;
  #last = 0;
  #promptTokens = 0;
  #isEnded = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void)[] = [];

  /** @internal */
  constructor(run: Run, signal: AbortSignal | undefined) {
    const either = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    this.result = run((event) => this.#add(event), either).then(
      (result) => (this.#end(), result),
      (error: unknown) => {
        if (this.#stop.signal.aborted && !signal?.aborted && error instanceof AbortError) {
          this.#end();
          return this.#soFar();
        }
        this.#failure = { error };
        this.#end();
        throw error;
      },
    );
    // Who only iterates sees the error there.
    this.result.catch(() => undefined);
  }

  /** All of the text, when it is done. */
  async text(): Promise<string> {
    return (await this.result).text;
  }

  /** Stops the generation; {@link result} has what there was until then. */
  cancel(): void {
    this.#stop.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    try {
      for (let next = 0; ; ) {
        const part = this.#parts[next];
        if (part !== undefined) {
          next++;
          yield part;
        } else if (this.#failure) {
          throw this.#failure.error;
        } else if (this.#isEnded) {
          return;
        } else {
          await new Promise<void>((resolve) => this.#wake.push(resolve));
        }
      }
    } finally {
      if (!this.#isEnded) this.cancel();
    }
  }

  #add(event: GenerateEvent): void {
    if (event.kind === 'prefill') {
      this.#promptTokens = event.total;
      return;
    }
    this.#last = performance.now();
    this.#first ||= this.#last;
    if (event.id !== undefined) this.#tokens.push(event.id);
    if (event.text === '') return;
    this.#parts.push(event.text);
    this.#wakeAll();
  }

  /** The result of a generation that was cancelled, as far as this side knows it. */
  #soFar(): GenerationResult {
    const count = this.#tokens.length;
    return {
      text: this.#parts.join(''),
      tokens: this.#tokens,
      finishReason: 'cancelled',
      stats: {
        promptTokens: this.#promptTokens,
        cachedTokens: 0,
        generatedTokens: count,
        prefillTokensPerSecond: 0,
        decodeTokensPerSecond: count > 1 ? ((count - 1) * 1000) / (this.#last - this.#first) : 0,
        timeToFirstTokenMs: (this.#first || performance.now()) - this.#begin,
        memoryBytes: 0,
      },
    };
  }

  #end(): void {
    this.#isEnded = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
