// wllama 2.3.1: the last release with llama.cpp's integer dot kernels for wasm, one thread.
import { Wllama } from '/modules/@wllama/wllama/esm/index.js';

export async function load(url) {
  const quiet = () => {};
  const wllama = new Wllama(
    { 'single-thread/wllama.wasm': '/modules/@wllama/wllama/esm/single-thread/wllama.wasm' },
    { logger: { debug: quiet, log: quiet, warn: quiet, error: console.error } },
  );
  const blob = await (await fetch(url)).blob();
  await wllama.loadModel([blob], { n_threads: 1, n_ctx: 1024, n_batch: 512 });
  const run = async (ids, nPredict, onNewToken) => {
    await wllama.kvClear();
    await wllama.createCompletion(await wllama.detokenize(ids, true), {
      nPredict,
      sampling: { temp: 0, top_k: 1 },
      stopTokens: [],
      useCache: false,
      onNewToken,
    });
  };
  return {
    async prefill(ids) {
      const start = performance.now();
      await run(ids, 1);
      return performance.now() - start;
    },
    async decode(ids, count, started) {
      let first = 0;
      let last = 0;
      let produced = 0;
      await run(ids, count + 1, () => {
        last = performance.now();
        if (produced++ === 0) {
          first = last;
          started();
        }
      });
      if (produced !== count + 1) throw new Error(`wllama stopped after ${produced} of ${count + 1} tokens`);
      return last - first;
    },
  };
}
