import { type ChatCompletion, type ChatCompletionChunk, type ChatCompletionRequest, complete, completeStreaming } from './completions.js';
import { checkDevice } from './device.js';
import { type Backend, type EngineLoadOptions, type GenerateEvent, LocalBackend, type Prompt } from './engine.js';
import { DisposedError, InputError, throwIfAborted } from './errors.js';
import { WorkerBackend } from './remote.js';
import { Session, type SessionOptions } from './session.js';
import { describeSource, type SourceSpec } from './source/resolve.js';
import { TextStream } from './stream.js';
import type { DecodeProfile, DeviceName, GenerateOptions, GenerationResult, LoadOptions, Message, ModelInfo, ModelSource } from './types.js';

const ENGINES = ['auto', 'simd', 'relaxed', 'threads'];

/** A language model, loaded and ready to answer. Calls on one model run one after another. */
export class TextModel {
  readonly #backend: Backend;
  readonly #source: SourceSpec;
  readonly #options: EngineLoadOptions;
  #info: ModelInfo;
  #isDisposed = false;

  private constructor(backend: Backend, source: SourceSpec, options: EngineLoadOptions, info: ModelInfo) {
    this.#backend = backend;
    this.#source = source;
    this.#options = options;
    this.#info = info;
  }

  /** What is known of the model. */
  get info(): ModelInfo {
    return this.#info;
  }

  /** Where it computes; `info.engine` tells why, and on which GPU. */
  get device(): DeviceName {
    return this.#info.engine.device;
  }

  /**
   * Loads a model.
   *
   * `source` is a hub id (`'owner/name'`, or `'owner/name:Q4_K_M'`), the URL of a GGUF or safetensors file (the other
   * parts of a split file and the JSON files beside safetensors are found by themselves), a `File`, `Blob` or the bytes
   * of a GGUF file, an array of URLs or Files, and in Node the path of a file or a folder.
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<TextModel> {
    const { onProgress, signal, worker = typeof Worker === 'function', cache = true, contextLength, engine, threads, device, ...where } = options;
    throwIfAborted(signal);
    for (const [name, value] of Object.entries({ contextLength, threads })) {
      if (value !== undefined && !(Number.isInteger(value) && value > 0)) throw new InputError(`${name} has to be a positive whole number, not ${value}`);
    }
    if (engine !== undefined && !ENGINES.includes(engine)) throw new InputError(`engine has to be one of ${ENGINES.join(', ')}, not ${engine}`);
    checkDevice({ device, engine, threads });
    const spec = describeSource(source);
    const { file, quantization, revision, token, hubEndpoint } = where;
    const backend: Backend = worker ? new WorkerBackend() : new LocalBackend();
    const wanted = { file, quantization, revision, token, hubEndpoint, cache, contextLength, engine, threads, device };
    const info = await load(backend, spec, wanted, onProgress, signal);
    // What was downloaded anew is not to be downloaded anew again.
    return new TextModel(backend, spec, { ...wanted, cache: cache !== false }, info);
  }

  /**
   * Loads the model again, from the browser's storage where it is kept: after its GPU was lost (`DeviceLostError`). What it knew of
   * conversations is computed anew.
   */
  async reload({ onProgress, signal }: Pick<LoadOptions, 'onProgress' | 'signal'> = {}): Promise<void> {
    throwIfAborted(signal);
    this.#info = await load(this.#check(), this.#source, this.#options, onProgress, signal);
  }

  /** Generates `tokens` tokens, whatever they are, and tells what each cost: for benchmarks. */
  async profile({ tokens = 16, signal }: { tokens?: number; signal?: AbortSignal } = {}): Promise<DecodeProfile> {
    if (!(Number.isInteger(tokens) && tokens > 0)) throw new InputError(`tokens has to be a positive whole number, not ${tokens}`);
    return this.#check().profile(tokens, signal ?? new AbortController().signal);
  }

  /** Answers a chat, with the model's own chat template. */
  chat(messages: readonly Message[], options: GenerateOptions = {}): TextStream {
    return this.#stream(checkMessages(messages), options);
  }

  /** Goes on with a text as it is, or with token ids. */
  generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): TextStream {
    return this.#stream(typeof prompt === 'string' ? prompt : Uint32Array.from(prompt), options);
  }

  /** A chat that remembers what was said. */
  createSession(options: SessionOptions = {}): Session {
    this.#check();
    return new Session(this, options);
  }

  /** Answers a request of the OpenAI API's shape, whole or as chunks. */
  createChatCompletion(request: ChatCompletionRequest & { stream: true }): AsyncIterable<ChatCompletionChunk>;
  createChatCompletion(request: ChatCompletionRequest & { stream?: false }): Promise<ChatCompletion>;
  createChatCompletion(request: ChatCompletionRequest): Promise<ChatCompletion> | AsyncIterable<ChatCompletionChunk> {
    return request.stream ? completeStreaming(this, request) : complete(this, request);
  }

  /** The token ids of a text; with `addSpecial`, with the tokens that the model wants at the beginning and end. */
  async tokenize(text: string, { addSpecial = false }: { addSpecial?: boolean } = {}): Promise<Uint32Array> {
    return this.#check().tokenize(text, addSpecial);
  }

  /** The text of token ids. */
  async detokenize(ids: ArrayLike<number>): Promise<string> {
    return this.#check().detokenize(Uint32Array.from(ids));
  }

  /** How many tokens a text or a chat has. */
  async countTokens(input: string | readonly Message[]): Promise<number> {
    const text = typeof input === 'string' ? input : await this.applyChatTemplate(input);
    return (await this.tokenize(text)).length;
  }

  /** A chat as the text that the model sees. */
  async applyChatTemplate(messages: readonly Message[], { addGenerationPrompt = true }: { addGenerationPrompt?: boolean } = {}): Promise<string> {
    return this.#check().applyChatTemplate(checkMessages(messages), addGenerationPrompt);
  }

  /** Ends the engine and frees its memory; calls that still run reject with a `DisposedError`. */
  dispose(): void {
    this.#isDisposed = true;
    this.#backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** @internal One generation, for streams and sessions. */
  async run(prompt: Prompt, options: GenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult> {
    const { signal: _, onPrefill, ...rest } = options;
    const onBoth = (event: GenerateEvent) => {
      if (event.kind === 'prefill') onPrefill?.({ done: event.done, total: event.total });
      onEvent(event);
    };
    return this.#check().generate(prompt, rest, onBoth, signal);
  }

  #stream(prompt: Prompt, options: GenerateOptions): TextStream {
    return new TextStream((onEvent, signal) => this.run(prompt, options, onEvent, signal), options.signal);
  }

  #check(): Backend {
    if (this.#isDisposed) throw new DisposedError();
    return this.#backend;
  }
}

async function load(backend: Backend, source: SourceSpec, options: EngineLoadOptions, onProgress: LoadOptions['onProgress'], signal: AbortSignal | undefined): Promise<ModelInfo> {
  const info = await backend.load(source, options, (progress) => onProgress?.(progress), signal ?? new AbortController().signal);
  onProgress?.({ phase: 'ready', file: '', loadedBytes: info.weightBytes, totalBytes: info.weightBytes, fromCache: false });
  return info;
}

/** Plain copies of messages, when that is what they are. */
function checkMessages(messages: readonly Message[]): Message[] {
  if (!Array.isArray(messages) || messages.length === 0) throw new InputError('a chat is an array of at least one { role, content }');
  return messages.map((message: Partial<Message> | null, i) => {
    if (typeof message?.role !== 'string' || typeof message.content !== 'string') {
      throw new InputError(`message ${i} of the chat has to be { role, content }, both of them texts`);
    }
    return { role: message.role, content: message.content };
  });
}
