// Votive through its published package, in the worker that the package starts.
import { TextModel } from '/votive/index.js';

export const load = (url, threads) => loadAs(url, { threads });

/** An engine with more options than that it computes on the processor and keeps no files. */
export async function loadAs(url, more) {
  const model = await TextModel.load(url, { cache: false, device: 'cpu', ...more });
  const run = async (ids, maxTokens) => {
    const { stats } = await model.generate(ids, { maxTokens, temperature: 0, ignoreEos: true, reuseCache: false }).result;
    return stats;
  };
  return {
    tokenize: (text) => model.tokenize(text),
    detokenize: (ids) => model.detokenize(ids),
    /** Milliseconds from the call to the first token. */
    async prefill(ids) {
      const start = performance.now();
      await run(ids, 1);
      return performance.now() - start;
    },
    /** Calls `started` at the first token; resolves with the milliseconds of the `count` tokens after it. */
    async decode(ids, count, started) {
      let first = 0;
      let last = 0;
      for await (const _ of model.generate(ids, { maxTokens: count + 1, temperature: 0, ignoreEos: true, reuseCache: false })) {
        last = performance.now();
        if (!first) {
          first = last;
          started();
        }
      }
      return last - first;
    },
  };
}
