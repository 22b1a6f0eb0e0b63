// The engine's threads: Workers over its shared memory, started by the engine's own thread.
import { startWorker } from './spawn.js';
import { isNode } from './storage/node.js';

/** What wasm-bindgen gives a module with threads, and what such a module offers for them. */
export interface ThreadsGlue {
  default(options: { module_or_path?: BufferSource | WebAssembly.Module; memory?: WebAssembly.Memory; thread_stack_size?: number }): Promise<unknown>;
  /** What another thread needs. */
  threadParts(): [module: WebAssembly.Module, memory: WebAssembly.Memory];
  /** Makes the caller a thread of the engine; throws when it traps. */
  runThread(): never;
  threadFailed(): void;
}

/** The modules that have threads. */
export const GLUE = {
  speech: () => import('./votive_speech_threads.js') as Promise<unknown> as Promise<ThreadsGlue>,
  text: () => import('./votive_text_threads.js') as Promise<unknown> as Promise<ThreadsGlue>,
};

/** To a new thread. */
export interface ThreadStart {
  kind: keyof typeof GLUE;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
}
/** From it, when it is ready or knows that it never will be. */
export interface ThreadReply {
  error?: string;
}

/** The part of a Worker that Node's worker threads have too. */
interface Thread {
  postMessage(message: ThreadStart): void;
  onMessage(listener: (reply: ThreadReply) => void): void;
  onError(listener: (message: string) => void): void;
}

/** Milliseconds that threads have to start; the engine works without those that are late. */
const PATIENCE_MS = 10_000;

/** How many threads there are unless the caller says: more seldom help, since memory's bandwidth is shared. */
const MOST = 8;

/** How many threads suit this machine. */
export function usualThreads(): number {
  return Math.max(1, Math.min(MOST, globalThis.navigator?.hardwareConcurrency ?? 1));
}

/** Starts `count` threads beside the calling one; resolves when each is ready or cannot be: how many there are, and why not all. */
export async function startThreads(kind: keyof typeof GLUE, glue: ThreadsGlue, count: number): Promise<{ started: number; warnings: string[] }> {
  const [module, memory] = glue.threadParts();
  const open = isNode ? await nodeThreads() : webThread;
  const outcomes = Array.from({ length: count }, async () => {
    try {
      const thread = open();
      await new Promise<void>((resolve, reject) => {
        thread.onMessage(({ error }) => (error === undefined ? resolve() : reject(new Error(error))));
        thread.onError((message) => reject(new Error(message)));
        thread.postMessage({ kind, module, memory });
        setTimeout(() => reject(new Error(`it did not start within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  });
  const failed = (await Promise.all(outcomes)).filter((message) => message !== undefined);
  return { started: count - failed.length, warnings: failed.length === 0 ? [] : [`${failed.length} of ${count} threads could not be started: ${failed[0]}`] };
}

function webThread(): Thread {
  const { worker, release } = startWorker(() => new Worker(new URL('./thread.js', import.meta.url), { type: 'module' }), 'thread.js', import.meta.url);
  return {
    postMessage: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener('message', ({ data }) => (release(), listener(data))),
    onError: (listener) => worker.addEventListener('error', (event) => (release(), listener(event.message || 'its script could not be loaded'))),
  };
}

interface NodeWorker {
  postMessage(message: ThreadStart): void;
  on(event: 'message' | 'error', listener: (value: never) => void): void;
  unref(): void;
}

async function nodeThreads(): Promise<() => Thread> {
  const name = 'node:worker_threads';
  const { Worker: Class } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { Worker: new (url: URL) => NodeWorker };
  const here = import.meta.url;
  return () => {
    const worker = new Class(new URL('thread.js', here));
    worker.unref(); // a process that has nothing else to do may end
    return {
      postMessage: (message) => worker.postMessage(message),
      onMessage: (listener) => worker.on('message', listener),
      onError: (listener) => worker.on('error', ((error: Error) => listener(error.message)) as (value: never) => void),
    };
  };
}
