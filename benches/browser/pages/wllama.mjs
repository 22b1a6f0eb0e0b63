// wllama 2.3.1: the last release with llama.cpp's integer dot kernels for wasm. Driven through its public
// low-level calls, which are those that its createCompletion makes, so that it gets the same token ids and goes on past the
// end-of-text token, and so that a prefill ends at the first token (createCompletion computes one more).
import { Wllama } from '/modules/@wllama/wllama/esm/index.js';

export async function load(url, threads) {
  const quiet = () => {};
  const wllama = new Wllama(
    {
      'single-thread/wllama.wasm': '/modules/@wllama/wllama/esm/single-thread/wllama.wasm',
      'multi-thread/wllama.wasm': '/modules/@wllama/wllama/esm/multi-thread/wllama.wasm',
    },
    { logger: { debug: quiet, log: quiet, warn: quiet, error: console.error } },
  );
  const blob = await (await fetch(url)).blob();
  await wllama.loadModel([blob], { n_threads: threads, n_ctx: 1024, n_batch: 512 });
  const firstToken = async (ids) => {
    await wllama.samplingInit({ temp: 0, top_k: 1 });
    await wllama.kvClear();
    await wllama.samplingAccept(ids);
    await wllama.decode(ids, {});
    return (await wllama.samplingSample()).token;
  };
  return {
    async prefill(ids) {
      const start = performance.now();
      await firstToken(ids);
      return performance.now() - start;
    },
    async decode(ids, count, started) {
      let token = await firstToken(ids);
      started();
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        await wllama.samplingAccept([token]);
        await wllama.decode([token], {});
        token = (await wllama.samplingSample()).token;
      }
      return performance.now() - start;
    },
  };
}
