// The engine beside its files: in the Worker, or in the caller's own thread where there is no Worker.
import init, * as wasm from './votive_wasm.js';
import { CrashError, DisposedError, NetworkError, OutOfMemoryError, throwIfAborted, toVotiveError, UnsupportedError, VotiveError } from './errors.js';
import { isNode, nodeFileSystem, openPath, pathOf } from './storage/node.js';
import { deleteFromCache } from './storage/cache.js';
import { type DownloadContext, MEMORY_LIMIT, type OpenFile, openRemote } from './source/download.js';
import { type FileRef, resolve, type ResolveOptions, type SourceSpec } from './source/resolve.js';
import type { GenerateOptions, GenerationResult, LoadProgress, Message, ModelInfo } from './types.js';

/** What can be generated from: text as it is, a chat, or token ids. */
export type Prompt = string | Message[] | Uint32Array;

/** The options of loading that the engine sees. */
export interface EngineLoadOptions extends ResolveOptions {
  cache: boolean | 'reload';
  contextLength?: number | undefined;
}

/** The options of generating that the engine sees. */
export type EngineGenerateOptions = Omit<GenerateOptions, 'signal' | 'onPrefill'>;

/** What happens while text is generated. */
export type GenerateEvent = { kind: 'prefill'; done: number; total: number } | { kind: 'token'; id?: number; text: string };

/** One model: what the page's side calls, whether there is a Worker in between or not. */
export interface Backend {
  load(source: SourceSpec, options: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelInfo>;
  generate(prompt: Prompt, options: EngineGenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult>;
  tokenize(text: string, addSpecial: boolean): Promise<Uint32Array>;
  detokenize(ids: Uint32Array): Promise<string>;
  applyChatTemplate(messages: Message[], addGenerationPrompt: boolean): Promise<string>;
  dispose(): void;
}

/** Milliseconds after which other events get their turn. */
const TURN_MS = 8;

let ready: Promise<unknown> | undefined;

/** Starts the WebAssembly module, once. */
async function start(): Promise<void> {
  ready ??= isNode ? startInNode() : init();
  try {
    await ready;
  } catch (cause) {
    ready = undefined;
    if (cause instanceof WebAssembly.CompileError || typeof WebAssembly === 'undefined') {
      throw new UnsupportedError('This browser cannot run the engine: it needs WebAssembly with SIMD, and a content security policy that allows wasm-unsafe-eval', { cause });
    }
    throw new NetworkError(new URL('./votive_wasm_bg.wasm', import.meta.url).href, 'the engine could not be loaded', undefined, { cause });
  }
}

async function startInNode(): Promise<unknown> {
  const path = pathOf(new URL('./votive_wasm_bg.wasm', import.meta.url));
  return init({ module_or_path: await (await nodeFileSystem()).readFile(path) });
}

/** The engine in this thread. */
export class LocalBackend implements Backend {
  #model: wasm.WasmTextModel | undefined;
  #isDisposed = false;
  #crash: VotiveError | undefined;
  /** Ends when the last call that was made ends: calls run one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  async load(source: SourceSpec, options: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelInfo> {
    return this.#inTurn(signal, async () => {
      const stop = new AbortController();
      const either = AbortSignal.any([signal, stop.signal]);
      const context: DownloadContext = { signal: either, cache: options.cache, onProgress };
      const files: OpenFile[] = [];
      let refs: FileRef[] = [];
      try {
        [refs] = await Promise.all([resolve(source, options, context), start()]);
        await openAll(refs, context, files);
        this.#model = await this.#read(files, options, onProgress, either);
        await Promise.all(files.map((file) => file.done));
        throwIfAborted(signal);
      } catch (error) {
        stop.abort();
        this.#model?.free();
        this.#model = undefined;
        await Promise.all(files.map((file) => file.close()));
        throwIfAborted(signal);
        const known = toVotiveError(error);
        if (known.code === 'format' || known.code === 'not-found') await forget(source, refs);
        throw known;
      } finally {
        await Promise.all(files.map((file) => file.close()));
      }
      return this.info();
    });
  }

  /** Lets the engine read the files. */
  async #read(files: OpenFile[], { contextLength }: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<wasm.WasmTextModel> {
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (total > MEMORY_LIMIT) throw new OutOfMemoryError(`The model has ${total} bytes; WebAssembly can hold ${MEMORY_LIMIT} (4 GiB) with everything. Take a smaller model or quantization.`);
    let failure: unknown;
    const report = every(50, onProgress);
    const turn = turns();
    const readable = files.map((file) => ({
      name: file.name,
      size: file.size,
      async read(offset: number, length: number): Promise<Uint8Array> {
        try {
          await turn();
          throwIfAborted(signal);
          return await file.read(offset, length);
        } catch (error) {
          failure ??= error;
          throw error;
        }
      },
    }));
    const loading = wasm.WasmTextModel.load(
      readable,
      contextLength === undefined ? {} : { contextLength },
      ({ loadedBytes, totalBytes, tensor }) => report({ phase: 'load', file: tensor, loadedBytes, totalBytes, fromCache: false }),
      () => signal.aborted,
    ).catch((error: unknown) => {
      throw failure ?? this.#engineError(error);
    });
    // A download that fails ends the loading, even while the engine is busy with another file.
    const failing = files.map((file) => file.done.then(() => new Promise<never>(() => undefined)));
    return Promise.race([loading, ...failing]);
  }

  generate(prompt: Prompt, options: EngineGenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult> {
    return this.#inTurn(signal, async () => {
      const model = this.#loaded();
      const { reuseCache, stop, ...rest } = options;
      if (reuseCache === false) model.resetCache();
      const begin = performance.now();
      const turn = turns();
      const tokens: number[] = [];
      let text = '';
      let first = 0;
      let last = 0;
      const generation = this.#guard(() => model.start(prompt, { ...rest, ...(stop === undefined ? {} : { stop: typeof stop === 'string' ? [stop] : stop }) }));
      try {
        for (;;) {
          await turn();
          throwIfAborted(signal);
          const step = await generation.step().catch((error: unknown) => {
            throw this.#engineError(error);
          });
          if (step.kind === 'prefill') {
            onEvent(step);
          } else if (step.kind === 'token') {
            last = performance.now();
            first ||= last;
            tokens.push(step.id);
            text += step.text;
            onEvent({ kind: 'token', id: step.id, text: step.text });
          } else {
            text += step.text;
            if (step.text !== '') onEvent({ kind: 'token', text: step.text });
            const { promptTokens, cachedTokens, prefillMs, memoryBytes } = step.stats;
            const perSecond = (count: number, ms: number) => (ms > 0 ? (count * 1000) / ms : 0);
            return {
              text,
              tokens,
              finishReason: step.reason,
              stats: {
                promptTokens,
                cachedTokens,
                generatedTokens: tokens.length,
                prefillTokensPerSecond: perSecond(promptTokens - cachedTokens, prefillMs),
                decodeTokensPerSecond: perSecond(tokens.length - 1, last - first),
                timeToFirstTokenMs: (first || performance.now()) - begin,
                memoryBytes,
              },
            };
          }
        }
      } finally {
        if (!this.#crash) generation.free();
      }
    });
  }

  async tokenize(text: string, addSpecial: boolean): Promise<Uint32Array> {
    return this.#inTurn(undefined, async () => this.#guard(() => this.#loaded().tokenize(text, addSpecial)));
  }

  async detokenize(ids: Uint32Array): Promise<string> {
    return this.#inTurn(undefined, async () => this.#guard(() => this.#loaded().detokenize(ids)));
  }

  async applyChatTemplate(messages: Message[], addGenerationPrompt: boolean): Promise<string> {
    return this.#inTurn(undefined, async () => this.#guard(() => this.#loaded().applyChatTemplate(messages, addGenerationPrompt)));
  }

  /** What an error means that no call saw: a trap of the engine outside of any promise. */
  explain(error: unknown): VotiveError {
    return this.#engineError(error);
  }

  info(): ModelInfo {
    const info = this.#guard(() => this.#loaded().info());
    return { ...info, memoryBytes: wasm.memoryBytes() };
  }

  dispose(): void {
    this.#isDisposed = true;
    void this.#queue.then(() => {
      if (!this.#crash) this.#model?.free();
      this.#model = undefined;
    });
  }

  #loaded(): wasm.WasmTextModel {
    if (this.#crash) throw this.#crash;
    if (this.#isDisposed || !this.#model) throw new DisposedError();
    return this.#model;
  }

  /** Runs `work` when all earlier calls have ended; a call that is aborted while it waits never starts. */
  #inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(() => {
      throwIfAborted(signal);
      return work();
    });
    this.#queue = mine.catch(() => undefined);
    return mine;
  }

  #guard<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.#engineError(error);
    }
  }

  /** What an error of the engine means; after a crash the model answers nothing any more. */
  #engineError(error: unknown): VotiveError {
    let known = toVotiveError(error);
    if (known instanceof CrashError && wasm.memoryBytes() > MEMORY_LIMIT * 0.9) {
      known = new OutOfMemoryError(`The engine ran out of memory: WebAssembly can hold 4 GiB with everything. Take a smaller model or a shorter contextLength.`, { cause: error });
      this.#crash = known;
    }
    if (known instanceof CrashError) this.#crash = known;
    return known;
  }
}

/** Deletes what is kept of a model that cannot be loaded: it would only fail again. */
async function forget(source: SourceSpec, refs: FileRef[]): Promise<void> {
  const urls = refs.flatMap((ref) => (ref.kind === 'remote' ? [ref.url] : []));
  const hubId = source.kind === 'hub' ? [source.id.split(':')[0] as string] : [];
  await Promise.allSettled([...urls, ...hubId].map(deleteFromCache));
}

/** Opens the files side by side, into `files`; those that may lack may lack. */
async function openAll(refs: FileRef[], context: DownloadContext, files: OpenFile[]): Promise<void> {
  const open = async (ref: FileRef): Promise<OpenFile | undefined> => {
    if (ref.kind === 'blob') {
      const read = async (offset: number, length: number) => new Uint8Array(await ref.blob.slice(offset, offset + length).arrayBuffer());
      return { name: ref.name, size: ref.blob.size, read, done: Promise.resolve(), close: async () => undefined };
    }
    if (ref.kind === 'path') return { name: ref.name, done: Promise.resolve(), ...(await openPath(ref.path)) };
    try {
      return await openRemote(ref, context);
    } catch (error) {
      if (ref.isOptional && error instanceof NetworkError && error.status === 404) return undefined;
      throw error;
    }
  };
  const results = await Promise.allSettled(
    refs.map(async (ref) => {
      const file = await open(ref);
      if (file) files.push(await withExtension(file));
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Files come with any name (`blob:` URLs, bytes): the kind of weights is seen from how they begin. */
async function withExtension(file: OpenFile): Promise<OpenFile> {
  if (/\.[a-z0-9]{2,12}$/i.test(file.name)) return file;
  const magic = new TextDecoder('latin1').decode(await file.read(0, 4));
  file.name += magic === 'GGUF' ? '.gguf' : '.safetensors';
  return file;
}

/** Gives other events (an abort, above all) their turn when the last one was a while ago. */
function turns(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < TURN_MS) return;
    await nextTask();
    last = performance.now();
  };
}

const immediate = (globalThis as { setImmediate?: (callback: () => void) => void }).setImmediate;

/** Resolves in a task of its own, without the 4 ms that timers cost in browsers. */
function nextTask(): Promise<void> {
  if (immediate) return new Promise(immediate);
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Calls `callback` at most once in `ms`. */
function every<T>(ms: number, callback: (value: T) => void): (value: T) => void {
  let last = -Infinity;
  return (value) => {
    const now = performance.now();
    if (now - last < ms) return;
    last = now;
    callback(value);
  };
}

