// The page's side of the Worker: starts it, calls it, ends it.
import type { Piece } from './audio/reader.js';
import type { Backend, EngineGenerateOptions, EngineLoadOptions, GenerateEvent, Prompt } from './engine.js';
import { abortReason, CrashError, DisposedError, fromWire, InputError, throwIfAborted, VotiveError } from './errors.js';
import type { Call, Reply, Request } from './protocol.js';
import { startWorker } from './spawn.js';
import type { SourceSpec } from './source/resolve.js';
import type { DecodeProfile, GenerationResult, LoadProgress, Message, ModelInfo } from './types.js';

/** Milliseconds that a Worker has to put its files in order after an aborted load. */
const GRACE_MS = 3000;

interface Pending {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  onEvent?: ((event: never) => void) | undefined;
  pull?: (() => Promise<Piece | undefined>) | undefined;
}

/** A Worker of its own, whatever its engine is for: calls and their answers. */
export class WorkerLink {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  /** Why there is nobody to call any more. */
  #end: VotiveError | undefined;
  #release: () => void;

  constructor() {
    const { worker, release } = startWorker(() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }), 'worker.js', import.meta.url);
    this.#worker = worker;
    this.#release = release;
    worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => this.#onReply(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#close(new CrashError(`The engine's Worker failed: ${event.message || 'its script could not be loaded'}`));
    });
    worker.addEventListener('messageerror', () => this.#close(new CrashError("The engine's Worker sent what could not be read")));
  }

  /** A call that loads a model: where it fails, the Worker ends. */
  protected async loadIn<T>(call: Call, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<T> {
    try {
      return await this.call<T>(call, signal, { onProgress });
    } catch (error) {
      // The Worker keeps what it downloaded and closes its files; then it is of no use any more.
      setTimeout(() => this.dispose(), signal.aborted ? GRACE_MS : 0);
      throw error;
    }
  }

  dispose(): void {
    this.#close(new DisposedError());
  }

  protected call<T>(call: Call, signal?: AbortSignal, handlers: Pick<Pending, 'onProgress' | 'onEvent' | 'pull'> = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#end) throw this.#end;
      throwIfAborted(signal);
      const id = this.#nextId++;
      // The caller is answered at once; the Worker stops at its next step, and what it still says is not heard.
      const onAbort = () => {
        this.#post({ id, abort: true });
        if (this.#pending.delete(id)) reject(abortReason(signal as AbortSignal));
      };
      const settled =
        <A>(settle: (value: A) => void) =>
        (value: A) => {
          signal?.removeEventListener('abort', onAbort);
          settle(value);
        };
      this.#pending.set(id, { resolve: settled(resolve as (value: never) => void), reject: settled(reject), ...handlers });
      try {
        this.#post({ id, call });
      } catch (cause) {
        this.#pending.delete(id);
        throw new InputError(`an argument cannot be sent to the Worker: ${(cause as Error).message}`, { cause });
      }
      signal?.addEventListener('abort', onAbort);
    });
  }

  /** Sends the sound that the Worker asks for. */
  async #feed(id: number, pending: Pending): Promise<void> {
    try {
      const piece = await pending.pull?.();
      if (this.#pending.get(id) === pending) this.#post({ id, piece }, piece && [piece.samples.buffer]);
    } catch (error) {
      this.#post({ id, abort: true });
      if (this.#pending.delete(id)) pending.reject(error);
    }
  }

  #post(request: Request, transfer: Transferable[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #onReply(reply: Reply): void {
    if ('fatal' in reply) return this.#close(fromWire(reply.fatal));
    const pending = this.#pending.get(reply.id);
    if ('error' in reply && reply.error.code === 'crashed') {
      this.#close(fromWire(reply.error));
    } else if (!pending) {
      return;
    } else if ('progress' in reply) {
      pending.onProgress?.(reply.progress);
    } else if ('event' in reply) {
      pending.onEvent?.(reply.event as never);
    } else if ('pull' in reply) {
      void this.#feed(reply.id, pending);
    } else {
      this.#pending.delete(reply.id);
      if ('error' in reply) pending.reject(fromWire(reply.error));
      else pending.resolve(reply.value as never);
    }
  }

  #close(reason: VotiveError): void {
    if (this.#end) return;
    this.#end = reason;
    this.#worker.terminate();
    this.#release();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}

/** The engine for text in a Worker of its own. */
export class WorkerBackend extends WorkerLink implements Backend {
  load(source: SourceSpec, options: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelInfo> {
    return this.loadIn({ method: 'load', source, options }, onProgress, signal);
  }

  generate(prompt: Prompt, options: EngineGenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult> {
    return this.call({ method: 'generate', prompt, options }, signal, { onEvent });
  }

  profile(tokens: number, signal: AbortSignal): Promise<DecodeProfile> {
    return this.call({ method: 'profile', tokens }, signal);
  }

  tokenize(text: string, addSpecial: boolean): Promise<Uint32Array> {
    return this.call({ method: 'tokenize', text, addSpecial });
  }

  detokenize(ids: Uint32Array): Promise<string> {
    return this.call({ method: 'detokenize', ids });
  }

  applyChatTemplate(messages: Message[], addGenerationPrompt: boolean): Promise<string> {
    return this.call({ method: 'applyChatTemplate', messages, addGenerationPrompt });
  }
}
