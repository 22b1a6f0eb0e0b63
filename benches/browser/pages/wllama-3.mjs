// wllama 3.8.1, one thread: the newest, in which llama.cpp's integer dot kernels for wasm are missing. It has no low-level calls any
// more; its completion takes token ids as llama.cpp's server does, and counts what it was given and gave.
import { Wllama } from '/modules/wllama-3/esm/index.js';

export async function load(url) {
  const quiet = () => {};
  const wllama = new Wllama(
    { default: '/modules/wllama-3/esm/wasm/wllama.wasm' },
    { logger: { debug: quiet, log: quiet, warn: quiet, error: console.error } },
  );
  const blob = await (await fetch(url)).blob();
  await wllama.loadModel([blob], { n_threads: 1, n_ctx: 1024, n_batch: 512, n_gpu_layers: 0 });
  /** Calls `onToken` at each of `count` tokens. */
  const complete = async (ids, count, onToken) => {
    const stream = await wllama.createCompletion({
      prompt: ids, max_tokens: count, stream: true, temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false,
    });
    let timings;
    for await (const chunk of stream) {
      timings = chunk.timings ?? timings;
      onToken();
    }
    if (timings && timings.prompt_n !== ids.length) throw new Error(`it read ${timings.prompt_n} tokens of ${ids.length}`);
  };
  return {
    async prefill(ids) {
      const start = performance.now();
      let first;
      await complete(ids, 1, () => { first ??= performance.now(); });
      return first - start;
    },
    async decode(ids, count, started) {
      let first;
      let last;
      await complete(ids, count + 1, () => {
        last = performance.now();
        if (first === undefined) {
          first = last;
          started();
        }
      });
      return last - first;
    },
  };
}
