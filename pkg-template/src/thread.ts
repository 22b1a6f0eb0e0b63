// A thread of the engine: a Worker, in Node a worker thread, that computes until it is ended. threads.ts starts it.
import { GLUE, type ThreadReply, type ThreadStart } from './threads.js';
import { isNode } from './storage/node.js';

/** Bytes of a thread's stack: kernels need little. */
const STACK = 1 << 20;

/** What a Worker's scope and Node's port to the parent have both. */
interface Port {
  postMessage(message: ThreadReply): void;
  onmessage: ((event: MessageEvent<ThreadStart>) => void) | null;
}

async function run(parent: Port, { kind, module, memory }: ThreadStart): Promise<void> {
  let glue;
  try {
    glue = await GLUE[kind]();
    await glue.default({ module_or_path: module, memory, thread_stack_size: STACK });
  } catch (error) {
    return parent.postMessage({ error: String(error) });
  }
  parent.postMessage({});
  try {
    glue.runThread();
  } catch (error) {
    glue.threadFailed(); // the engine may wait for this thread, and then hears no message
    throw error;
  }
}

function listen(parent: Port): void {
  parent.onmessage = ({ data }) => {
    parent.onmessage = null;
    void run(parent, data);
  };
}

if (isNode) {
  const name = 'node:worker_threads';
  void import(/* webpackIgnore: true */ /* @vite-ignore */ name).then(({ parentPort }: { parentPort: Port }) => listen(parentPort));
} else {
  listen(globalThis as unknown as Port);
}
