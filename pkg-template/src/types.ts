/** Who said a message. */
export type Role = 'system' | 'user' | 'assistant' | 'tool';

/** One message of a chat. */
export interface Message {
  role: Role;
  content: string;
}

/** Where a model comes from; see `TextModel.load`. */
export type ModelSource =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | readonly (string | URL | Blob)[];

/** What is known of the loading of a model, reported through {@link LoadOptions.onProgress}. */
export interface LoadProgress {
  /** `resolve`: asking the hub for its files; `download`: bytes of `file` arrive; `load`: tensors go to the engine; `ready`: done. */
  phase: 'resolve' | 'download' | 'load' | 'ready';
  /** The file, or while loading the tensor. */
  file: string;
  /** Bytes of `file` so far; in the phase `load`, bytes of all weights so far. */
  loadedBytes: number;
  /** Bytes of `file`, 0 where the server does not say; in the phase `load`, bytes of all weights. */
  totalBytes: number;
  /** Whether the bytes come from the browser's storage instead of the network. */
  fromCache: boolean;
}

/**
 * A build of the engine: plain WebAssembly SIMD, which every supported browser runs; with relaxed SIMD; and that with threads,
 * which pages have that are cross-origin isolated.
 */
export type Build = 'simd' | 'relaxed' | 'threads';

/** Where a model computes: on the processor, or on the GPU through WebGPU. */
export type DeviceName = 'cpu' | 'webgpu';
/** Where it should; `'auto'` is the GPU where there is one, it is no emulation, and it is measured to be faster for the model. */
export type DeviceChoice = 'auto' | DeviceName;

/** What a GPU's adapter is and can do. */
export interface AdapterInfo {
  /** As the browser describes it. */
  name: string;
  /** Whether it is an emulation on the processor. */
  software: boolean;
  /** Half precision in shaders. */
  shaderF16: boolean;
  /** Operations among the threads that run in step. */
  subgroups: boolean;
  /** Times of kernels. */
  timestamps: boolean;
  /** Products of four bytes at a time by the GPU itself, for long prompts; told of the adapter that a model is on. */
  packedDot?: boolean;
  /** Matrix units, which browsers show where what is experimental is allowed: for long prompts, where the GPU is no emulation. */
  matrices: boolean;
  /** The largest buffer, in bytes. */
  maxBuffer: number;
  /** The largest part of a buffer that a kernel can see, in bytes. */
  maxBinding: number;
}

/** Which engine runs. */
export interface EngineInfo {
  /** The build for the processor, or the one for WebGPU. */
  build: Build | 'webgpu';
  /** Where the model computes. */
  device: DeviceName;
  /** Why there. */
  deviceReason: string;
  /** The GPU, where it computes there. */
  adapter?: AdapterInfo;
  /** How many threads compute. */
  threads: number;
  /** Why it is not what was to be expected here, for a log; usually empty. */
  warnings: string[];
}

/** Options of `TextModel.load`. */
export interface LoadOptions {
  /** Called as loading goes on, at most some 20 times a second for each file. */
  onProgress?: (progress: LoadProgress) => void;
  /** Stops the loading; what was downloaded is kept and resumed by the next load. */
  signal?: AbortSignal;
  /** Hub ids: the file to take, by its path or a pattern with `*`. */
  file?: string;
  /** Hub ids: the GGUF quantization to take (`'Q4_K_M'`); the same as writing `owner/name:Q4_K_M`. */
  quantization?: string;
  /** Hub ids: branch, tag or commit. Default `'main'`. */
  revision?: string;
  /** Sent as a bearer token to the hub (or to the URLs given), for private and gated models. Never stored. */
  token?: string;
  /** Where hub ids are looked up. Default `'https://huggingface.co'`. */
  hubEndpoint?: string;
  /** Whether to keep downloads for the next visit: `true` (default), `false`, or `'reload'` to replace what is kept. */
  cache?: boolean | 'reload';
  /** The most tokens that a prompt and its answer may have together. Default: the model's own. */
  contextLength?: number;
  /** Which build of the engine to run. Default `'auto'`: the fastest that runs here; `model.info.engine` tells which it is. */
  engine?: Build | 'auto';
  /**
   * Where to compute. Default `'auto'`; `model.device` tells where, `model.info.engine.deviceReason` why. `'webgpu'` without an adapter
   * is an `UnsupportedError`.
   */
  device?: DeviceChoice;
  /** With how many threads to compute, where there are threads. Default: one for each processor, at most 8. */
  threads?: number;
  /** Whether to run in a Worker. Default: `true` where there are Workers, `false` in Node. */
  worker?: boolean;
}

/** Options of generating text. Everything has a default, by which the likeliest token is always taken. */
export interface GenerateOptions {
  /** The most tokens to generate. Default: until the model ends or the context is full. */
  maxTokens?: number;
  /** How freely to draw; 0, the default, takes the likeliest token always. */
  temperature?: number;
  /** Keep the k likeliest tokens; 0 keeps all. */
  topK?: number;
  /** Keep the likeliest tokens that together reach this probability; 1 keeps all. */
  topP?: number;
  /** Keep tokens at least this probable, relative to the likeliest; 0 keeps all. */
  minP?: number;
  /** Locally typical sampling; 1 is off. */
  typicalP?: number;
  /** Above 1 makes tokens less likely that are there already; 1 is off. */
  repetitionPenalty?: number;
  /** How many of the last tokens `repetitionPenalty` looks at; 0, the default, is all. */
  repetitionWindow?: number;
  /** Taken from a token's logit for each time it was generated. */
  frequencyPenalty?: number;
  /** Taken from a token's logit when it was generated at all. */
  presencePenalty?: number;
  /** Added to the logits of tokens, by id. */
  logitBias?: Record<number, number>;
  /** The same seed gives the same text. Default: a random one. */
  seed?: number;
  /** Generation ends before any of these. */
  stop?: string | readonly string[];
  /** Generation ends at any of these token ids. */
  stopTokens?: readonly number[];
  /** Go on when the model says that it is done (for measuring). */
  ignoreEos?: boolean;
  /** Whether to use what the model still knows of an earlier prompt that began the same way. Default `true`. */
  reuseCache?: boolean;
  /** Stops the generation; the model can be used on. */
  signal?: AbortSignal;
  /** Called while the prompt is computed. */
  onPrefill?: (progress: { done: number; total: number }) => void;
}

/** What decoding a token costs, on average over several. */
export interface DecodeProfile {
  /** Over how many tokens it is averaged. */
  tokens: number;
  msPerToken: number;
  device: DeviceName;
  /** Layers of the model. */
  layers: number;
  /** Bytes of all weights. */
  weightBytes: number;
  /** What a GPU did for each token; absent on the processor. */
  perToken?: DeviceCounts;
  /** How long a GPU ran each kernel for one token, the longest first; absent where it does not tell. */
  kernels?: KernelTime[];
}

/** How long a GPU ran a kernel. */
export interface KernelTime {
  kernel: string;
  /** How often it ran. */
  dispatches: number;
  /** Of all of them together. Chromium rounds each to 100. */
  microseconds: number;
}

/** What a GPU did: costs that do not depend on how fast it is. */
export interface DeviceCounts {
  /** Kernels run. */
  dispatches: number;
  /** Batches of commands handed to the GPU. */
  submits: number;
  /** Buffers created. */
  buffers: number;
  /** Bind groups created. */
  bindGroups: number;
  /** Programs compiled. */
  pipelines: number;
  /** Tensors uploaded. */
  uploads: number;
  /** Tensors read back. */
  reads: number;
  /** Microseconds in which commands were encoded and handed to the GPU. */
  encodeMicroseconds: number;
  /** What else the engine counts. */
  [other: string]: number;
}

/** Why a generation ended: a stop string or token, `maxTokens` or the context, the model itself, or the caller. */
export type FinishReason = 'stop' | 'length' | 'eos' | 'cancelled';

/** What a generation cost. After a cancelled one, what the engine did not say any more is 0. */
export interface GenerationStats {
  /** Tokens of the prompt, with those that were known already. */
  promptTokens: number;
  /** Tokens of the prompt that were known from an earlier call. */
  cachedTokens: number;
  /** Tokens generated. */
  generatedTokens: number;
  /** Prompt tokens computed in a second. */
  prefillTokensPerSecond: number;
  /** Tokens generated in a second, after the first. */
  decodeTokensPerSecond: number;
  /** Milliseconds from the start of the work (not of waiting for earlier calls) to the first token. */
  timeToFirstTokenMs: number;
  /** Bytes of the engine's memory: weights, key-value cache and working space. */
  memoryBytes: number;
}

/** What a generation gave. */
export interface GenerationResult {
  text: string;
  /** The ids of the tokens generated. */
  tokens: number[];
  finishReason: FinishReason;
  stats: GenerationStats;
}

/** What is known of a loaded model. */
export interface ModelInfo {
  /** The architecture's name as the model's file gives it (`'llama'`). */
  architecture: string;
  /** Number of parameters. */
  parameters: number;
  /** The format that most weights have (`'Q4_1'`). */
  dtype: string;
  /** The most tokens that a prompt and its answer may have together. */
  contextLength: number;
  vocabSize: number;
  layers: number;
  /** Whether the model has a chat template, so that `chat` works. */
  hasChatTemplate: boolean;
  /** Bytes of the weights as they are held. */
  weightBytes: number;
  /** Bytes that each token of a conversation takes beside. */
  cacheBytesPerToken: number;
  /** Bytes of the engine's memory after loading. */
  memoryBytes: number;
  /** The engine that runs it. */
  engine: EngineInfo;
}
