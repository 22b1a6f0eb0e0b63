// wllama 3.8.1: the newest, in which llama.cpp's integer dot kernels for wasm are missing. It has no low-level calls any
// more, and its completion takes texts only; it counts the tokens that it made of one.
import { Wllama } from '/modules/wllama-3/esm/index.js';

export async function load(url, threads) {
  const quiet = () => {};
  const wllama = new Wllama(
    { default: '/modules/wllama-3/esm/wasm/wllama.wasm' },
    { logger: { debug: quiet, log: quiet, warn: quiet, error: console.error } },
  );
  const blob = await (await fetch(url)).blob();
  await wllama.loadModel([blob], { n_threads: threads, n_ctx: 1024, n_batch: 512, n_gpu_layers: 0 });
  /** Calls `onToken` at each of `count` tokens. */
  const complete = async (prompt, count, onToken) => {
    const stream = await wllama.createCompletion({
      prompt, max_tokens: count, stream: true, temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false,
    });
    let timings;
    for await (const chunk of stream) {
      timings = chunk.timings ?? timings;
      onToken();
    }
    return timings;
  };
  return {
    async prefill(ids, text) {
      const start = performance.now();
      let first;
      const timings = await complete(text, 1, () => { first ??= performance.now(); });
      if (timings && timings.prompt_n !== ids.length) throw new Error(`it read ${timings.prompt_n} tokens, not ${ids.length}`);
      return first - start;
    },
    async decode(_, count, started, text) {
      let first;
      let last;
      await complete(text, count + 1, () => {
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
