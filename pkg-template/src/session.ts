import { DisposedError, throwIfAborted } from './errors.js';
import type { TextModel } from './model.js';
import { TextStream } from './stream.js';
import type { GenerateOptions, Message } from './types.js';

/** Options of `model.createSession`: what the chat begins with, and the defaults of its answers. */
export interface SessionOptions extends Omit<GenerateOptions, 'signal' | 'onPrefill'> {
  /** What the model is told before the chat. */
  systemPrompt?: string;
  /** A chat to go on with. */
  initialMessages?: readonly Message[];
}

/** A chat that remembers what was said. Each prompt computes only what is new. */
export class Session {
  readonly #model: TextModel;
  readonly #defaults: GenerateOptions;
  #messages: Message[];
  #isDestroyed = false;
  /** Ends when the last prompt that was made ends: prompts are answered one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(model: TextModel, { systemPrompt, initialMessages = [], ...defaults }: SessionOptions) {
    this.#model = model;
    this.#defaults = defaults;
    this.#messages = [...(systemPrompt === undefined ? [] : [{ role: 'system' as const, content: systemPrompt }]), ...initialMessages];
  }

  /** What was said. */
  get messages(): readonly Message[] {
    return this.#messages.map((message) => ({ ...message }));
  }

  /** Asks; resolves with the answer. */
  prompt(text: string, options: GenerateOptions = {}): Promise<string> {
    return this.promptStreaming(text, options).text();
  }

  /**
   * Asks; the answer streams. Question and answer are remembered when it is complete or was cancelled midway; when it
   * fails or is aborted by a signal, the chat is as it was before.
   */
  promptStreaming(text: string, options: GenerateOptions = {}): TextStream {
    const { signal, ...rest } = { ...this.#defaults, ...options };
    const turn: Message = { role: 'user', content: text };
    const before = this.#queue;
    const stream = new TextStream(async (onEvent, either) => {
      await before;
      if (this.#isDestroyed) throw new DisposedError('The session was destroyed');
      throwIfAborted(either);
      return this.#model.run([...this.#messages, turn], rest, onEvent, either);
    }, signal);
    const remembered = stream.result.then(({ text: answer, finishReason }) => {
      const isEmpty = finishReason === 'cancelled' && answer === '';
      if (!this.#isDestroyed && !isEmpty) this.#messages = [...this.#messages, turn, { role: 'assistant', content: answer }];
    });
    this.#queue = remembered.catch(() => undefined);
    return stream;
  }

  /** Another session that goes on from here; the two do not see each other's messages. */
  clone(): Session {
    if (this.#isDestroyed) throw new DisposedError('The session was destroyed');
    return new Session(this.#model, { ...this.#defaults, initialMessages: this.#messages });
  }

  /** Ends the session; the model stays. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#messages = [];
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
