// What every engine in this thread does, whatever its model is for: load files, take calls one after another, know when it is lost.
import { CrashError, DisposedError, NetworkError, OutOfMemoryError, throwIfAborted, toVotiveError, VotiveError } from './errors.js';
import { decide, type Decision, faster } from './device.js';
import { type EngineChoice, bestBuild, hasWebGpu, type Kind, type Kinds, type Loaded, loadModule, loadWebGpuModule } from './module.js';
import { deleteFromCache } from './storage/cache.js';
import { openPath } from './storage/node.js';
import { type DownloadContext, MEMORY_LIMIT, type OpenFile, openRemote } from './source/download.js';
import { type FileRef, resolve, type ResolveOptions, type SourceSpec } from './source/resolve.js';
import type { AdapterInfo, DeviceChoice, DeviceName, EngineInfo, LoadProgress } from './types.js';

/** The options of loading that every engine has. */
export interface FileOptions extends ResolveOptions, EngineChoice {
  cache: boolean | 'reload';
  device?: DeviceChoice | undefined;
}

/** A file as the engine's module reads it. */
export interface ReadableFile {
  name: string;
  size: number;
  /** Bytes from `offset`: at least one, except at the end of the file, and at most `length`. They are good until the next read. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Reports a module's progress in loading weights. */
export type OnWeights = (progress: { loadedBytes: number; totalBytes: number; tensor: string }) => void;

/** Milliseconds after which other events get their turn. */
const TURN_MS = 8;

/** An engine in this thread, with one model. */
export abstract class LocalEngine<K extends Kind, Model extends { free(): void }> {
  readonly #kind: K;
  #engine: Loaded<K> | undefined;
  #decision: Decision | undefined;
  #model: Model | undefined;
  #isDisposed = false;
  #crash: VotiveError | undefined;
  /** Ends when the last call that was made ends: calls run one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `kind` names the WebAssembly module. */
  protected constructor(kind: K) {
    this.#kind = kind;
  }

  /** Bytes of the module's memory. */
  protected memoryBytes(): number {
    return this.#engine?.module.memoryBytes() ?? 0;
  }

  /** Which engine runs; to be asked after loading. `adapter` is the GPU of the model. */
  protected engine(adapter?: AdapterInfo): EngineInfo {
    if (!this.#engine || !this.#decision) throw new DisposedError();
    const { device, reason } = this.#decision;
    return { ...this.#engine.engine, device, deviceReason: reason, ...(adapter ? { adapter } : {}) };
  }

  /** Milliseconds that a device takes for a piece of the model's work; overridden where the devices can be compared. */
  protected measure?(module: Kinds[K], files: ReadableFile[], device: DeviceName): Promise<number>;

  /** Loads a model: finds its files, opens them, and lets `read` make the model of them. */
  protected async loadFiles(
    source: SourceSpec,
    options: FileOptions,
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
    read: (module: Kinds[K], files: ReadableFile[], device: DeviceName, onWeights: OnWeights, isAborted: () => boolean) => Promise<Model>,
  ): Promise<void> {
    return this.inTurn(signal, async () => {
      const stop = new AbortController();
      const either = AbortSignal.any([signal, stop.signal]);
      const context: DownloadContext = { signal: either, cache: options.cache, onProgress };
      const files: OpenFile[] = [];
      let refs: FileRef[] = [];
      try {
        const { device = 'auto', engine } = options;
        const decision = await decide(device, engine, hasWebGpu(this.#kind) && this.measure !== undefined);
        // What runs on the processor lies in WebAssembly's memory.
        if ('device' in decision && decision.device === 'cpu') context.largest = MEMORY_LIMIT;
        const open = async () => {
          refs = await resolve(source, options, context);
          await openAll(refs, context, files);
        };
        const [loaded] = await Promise.all(
          'device' in decision ? [this.#start(decision, options), open()] : [open().then(() => this.#startFaster(decision.measureOn, options, files))],
        );
        // A model that is loaded again, after its GPU was lost.
        this.#model?.free();
        this.#model = undefined;
        this.#model = await this.#read(loaded.module, files, onProgress, either, read);
        await Promise.all([loaded.settled, ...files.map((file) => file.done)]);
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
    });
  }

  /** Starts the module for a device. */
  async #start(decision: Decision, options: FileOptions): Promise<Loaded<K>> {
    const loaded = decision.device === 'webgpu' ? await loadWebGpuModule(this.#kind) : await loadModule(this.#kind, options);
    this.#engine = loaded;
    this.#decision = decision;
    return loaded;
  }

  /** Starts the module for the device that is measured to be the faster one for these files. */
  async #startFaster(adapter: AdapterInfo, options: FileOptions, files: OpenFile[]): Promise<Loaded<K>> {
    const { build, threads } = bestBuild(options);
    const key = [adapter.name, build, threads, globalThis.navigator?.userAgent ?? '', files.map(({ name, size }) => [name, size])];
    const decision = await faster(key, async (device) => {
      const { module, settled } = await this.#start({ device, reason: 'it is measured' }, options);
      await settled;
      return this.measure!(module, files, device);
    });
    return this.#start(decision, options);
  }

  /** Lets the module read the files. */
  async #read(
    module: Kinds[K],
    files: OpenFile[],
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
    read: (module: Kinds[K], files: ReadableFile[], device: DeviceName, onWeights: OnWeights, isAborted: () => boolean) => Promise<Model>,
  ): Promise<Model> {
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (this.#decision?.device === 'cpu' && total > MEMORY_LIMIT) throw new OutOfMemoryError(`The model has ${total} bytes; WebAssembly can hold ${MEMORY_LIMIT} (4 GiB) with everything. Take a smaller model or quantization.`);
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
    const loading = read(
      module,
      readable,
      this.#decision?.device ?? 'cpu',
      ({ loadedBytes, totalBytes, tensor }) => report({ phase: 'load', file: tensor, loadedBytes, totalBytes, fromCache: false }),
      () => signal.aborted,
    ).catch((error: unknown) => {
      throw failure ?? this.engineError(error);
    });
    // A download that fails ends the loading, even while the engine is busy with another file.
    const failing = files.map((file) => file.done.then(() => new Promise<never>(() => undefined)));
    return Promise.race([loading, ...failing]);
  }

  /** What an error means that no call saw: a trap of the engine outside of any promise. */
  explain(error: unknown): VotiveError {
    return this.engineError(error);
  }

  dispose(): void {
    this.#isDisposed = true;
    void this.#queue.then(() => {
      if (!this.#crash) this.#model?.free();
      this.#model = undefined;
    });
  }

  /** The model, as long as there is one. */
  protected loaded(): Model {
    if (this.#crash) throw this.#crash;
    if (this.#isDisposed || !this.#model) throw new DisposedError();
    return this.#model;
  }

  /** Whether the module's objects must not be touched any more. */
  protected get isLost(): boolean {
    return this.#crash !== undefined;
  }

  /** Runs `work` when all earlier calls have ended; a call that is aborted while it waits never starts. */
  protected inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(() => {
      throwIfAborted(signal);
      return work();
    });
    this.#queue = mine.catch(() => undefined);
    return mine;
  }

  protected guard<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.engineError(error);
    }
  }

  /** What an error of the engine means; after a crash the model answers nothing any more. */
  protected engineError(error: unknown): VotiveError {
    let known = toVotiveError(error);
    if (known instanceof CrashError && this.memoryBytes() > MEMORY_LIMIT * 0.9) {
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
  let magic = '';
  for (let bytes; magic.length < 4 && (bytes = await file.read(magic.length, 4 - magic.length)).length > 0; ) magic += new TextDecoder('latin1').decode(bytes);
  file.name += magic === 'GGUF' ? '.gguf' : '.safetensors';
  return file;
}

/** Gives other events (an abort, above all) their turn when the last one was a while ago. */
export function turns(): () => Promise<void> {
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
export function every<T>(ms: number, callback: (value: T) => void): (value: T) => void {
  let last = -Infinity;
  return (value) => {
    const now = performance.now();
    if (now - last < ms) return;
    last = now;
    callback(value);
  };
}

