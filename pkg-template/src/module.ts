// Which of the package's WebAssembly builds runs here, and starting it.
import { NetworkError, OutOfMemoryError, UnsupportedError } from './errors.js';
import { isNode, nodeFileSystem, pathOf } from './storage/node.js';
import { GLUE, startThreads, type ThreadsGlue, usualThreads } from './threads.js';
import type { SpeechModule } from './speech_module.js';
import type { TextModule } from './text_module.js';
import type { Build, EngineInfo } from './types.js';

/** What each kind of module offers. */
export interface Kinds {
  speech: SpeechModule;
  text: TextModule;
}
/** What a module is for. */
export type Kind = keyof Kinds;

/** What wasm-bindgen gives every module. */
interface Glue {
  default(options: { module_or_path?: BufferSource }): Promise<unknown>;
}

/** The modules, by kind and build. Bundlers have to see each import as it is written here. */
const MODULES: Record<Kind, Partial<Record<Build | 'webgpu', () => Promise<unknown>>>> = {
  speech: {
    simd: () => import('./votive_speech_simd.js'),
    relaxed: () => import('./votive_speech_relaxed.js'),
    threads: GLUE.speech,
    webgpu: () => import('./votive_speech_webgpu.js'),
  },
  text: {
    simd: () => import('./votive_text_simd.js'),
    relaxed: () => import('./votive_text_relaxed.js'),
    threads: GLUE.text,
    webgpu: () => import('./votive_text_webgpu.js'),
  },
};

/** What the caller asks of the engine. */
export interface EngineChoice {
  engine?: Build | 'auto' | undefined;
  threads?: number | undefined;
}

/** Which build runs. */
export type BuildInfo = Pick<EngineInfo, 'build' | 'threads' | 'warnings'>;

/** A module that runs, and which it is. */
export interface Loaded<K extends Kind> {
  module: Kinds[K];
  engine: BuildInfo;
  /** Resolves when `engine` is final: when all threads are there, or it is known which will not come. */
  settled: Promise<void>;
}

/** Modules that are valid only where the browser knows the feature: `i8x16.splat` with `i8x16.popcnt`, and `i8x16.relaxed_swizzle`. */
const SIMD_PROBE = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const RELAXED_PROBE = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11];

/** Why a build cannot run here, or `undefined` when it can. */
function obstacle(build: Build, inWorker = typeof document === 'undefined'): string | undefined {
  const isValid = (probe: number[]) => typeof WebAssembly === 'object' && WebAssembly.validate(new Uint8Array(probe));
  if (!isValid(SIMD_PROBE)) return 'it needs WebAssembly with SIMD, and a content security policy that allows wasm-unsafe-eval';
  if (build === 'simd') return undefined;
  if (!isValid(RELAXED_PROBE)) return 'this browser has no relaxed SIMD';
  if (build === 'relaxed') return undefined;
  if (typeof SharedArrayBuffer === 'undefined' || !(isNode || globalThis.crossOriginIsolated)) return 'threads need a page that is cross-origin isolated';
  if (!inWorker) return 'threads need the engine to run in a Worker';
  return undefined;
}

/** Which builds can run in a Worker of this page: `true`, or why not. */
export function availableBuilds(): Record<Build, true | string> {
  const told = (build: Build) => obstacle(build, true) ?? true;
  return { simd: told('simd'), relaxed: told('relaxed'), threads: told('threads') };
}

/** The build for the processor that `'auto'` stands for, as far as that is known before it is tried. */
export function bestBuild({ threads = usualThreads() }: EngineChoice): { build: Build; threads: number } {
  if (threads > 1 && !obstacle('threads')) return { build: 'threads', threads };
  return { build: obstacle('relaxed') === undefined ? 'relaxed' : 'simd', threads: 1 };
}

const running = new Map<string, Promise<Loaded<Kind>>>();

/** Starts the module of a kind that suits this machine best, or the one asked for; once for each. */
export async function loadModule<K extends Kind>(kind: K, choice: EngineChoice): Promise<Loaded<K>> {
  const threads = choice.threads ?? usualThreads();
  const { engine = 'auto' } = choice;
  if (engine !== 'auto') {
    const reason = obstacle(engine);
    if (reason !== undefined) throw new UnsupportedError(`engine '${engine}' cannot run here: ${reason}`);
    return once(kind, engine, threads);
  }
  const build = threads > 1 && !obstacle('threads') ? 'threads' : 'relaxed';
  const reason = obstacle('simd');
  if (reason !== undefined) throw new UnsupportedError(`This browser cannot run the engine: ${reason}`);
  if (obstacle(build) !== undefined) return once(kind, 'simd', 1);
  if (build === 'relaxed') return once(kind, build, 1);
  try {
    return await once(kind, build, threads);
  } catch (error) {
    // For instance on a system that does not let a page reserve so large a shared memory.
    const loaded = await once(kind, 'relaxed', 1);
    const warnings = [...loaded.engine.warnings, `threads could not be used: ${(error as Error).message}`];
    return { ...loaded, engine: { ...loaded.engine, warnings } };
  }
}

/** Whether there is a module of a kind for WebGPU. */
export function hasWebGpu(kind: Kind): boolean {
  return MODULES[kind].webgpu !== undefined;
}

/** Starts the module of a kind that has WebGPU. */
export async function loadWebGpuModule<K extends Kind>(kind: K): Promise<Loaded<K>> {
  const reason = hasWebGpu(kind) ? obstacle('simd') : `there is no module of the kind ${kind} for it`;
  if (reason !== undefined) throw new UnsupportedError(`device 'webgpu' cannot be used: ${reason}`);
  return once(kind, 'webgpu', 1);
}

function once<K extends Kind>(kind: K, build: Build | 'webgpu', threads: number): Promise<Loaded<K>> {
  const name = `votive_${kind}_${build}`;
  const known = running.get(name) as Promise<Loaded<K>> | undefined;
  const loading = known ?? start(kind, build, threads, name);
  running.set(name, loading);
  loading.catch(() => running.delete(name));
  return loading;
}

async function start<K extends Kind>(kind: K, build: Build | 'webgpu', threads: number, name: string): Promise<Loaded<K>> {
  const here = import.meta.url;
  const url = new URL(`${name}_bg.wasm`, here);
  let glue;
  try {
    glue = (await MODULES[kind][build]!()) as Glue & Kinds[K];
    await glue.default(isNode ? { module_or_path: await (await nodeFileSystem()).readFile(pathOf(url)) } : {});
  } catch (cause) {
    if (cause instanceof WebAssembly.CompileError) {
      throw new UnsupportedError('This browser cannot run the engine: it needs WebAssembly with SIMD, and a content security policy that allows wasm-unsafe-eval', { cause });
    }
    if (cause instanceof RangeError) throw new OutOfMemoryError(`the engine's memory cannot be had: ${cause.message}`, { cause });
    throw new NetworkError(url.href, 'the engine could not be loaded', undefined, { cause });
  }
  const engine: BuildInfo = { build, threads: 1, warnings: [] };
  let settled = Promise.resolve();
  if (build === 'threads') {
    settled = startThreads(kind, glue as unknown as ThreadsGlue, threads - 1).then(({ started, warnings }) => {
      engine.threads += started;
      engine.warnings.push(...warnings);
    });
  }
  return { module: glue, engine, settled };
}
