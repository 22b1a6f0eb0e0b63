// transformers.js 4.3.1 on onnxruntime's WebAssembly, in the page: the same weights in f32.
import { AutoModelForCausalLM, BaseStreamer, Tensor, env } from '/modules/@huggingface/transformers/dist/transformers.min.js';

Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/', useBrowserCache: false, useWasmCache: false });

/** Calls `onToken` as each token comes; what comes first is the prompt. */
class Tokens extends BaseStreamer {
  constructor(onToken) {
    super();
    this.onToken = onToken;
    this.prompt = true;
  }
  put() {
    if (!this.prompt) this.onToken();
    this.prompt = false;
  }
  end() {}
}

/** An engine with the weights in transformers.js's `dtype`. */
export async function loadAs(dtype, threads) {
  const { wasm } = env.backends.onnx;
  wasm.wasmPaths = `${location.origin}/modules/onnxruntime-web/dist/`;
  wasm.numThreads = threads;
  wasm.proxy = false;
  const model = await AutoModelForCausalLM.from_pretrained('onnx', { dtype, device: 'wasm' });
  const generate = async (ids, count, onToken) => {
    const integers = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    await model.generate({
      inputs: integers(ids), attention_mask: integers(ids.map(() => 1)), max_new_tokens: count, min_new_tokens: count, do_sample: false,
      streamer: new Tokens(onToken),
    });
  };
  return {
    async prefill(ids) {
      const start = performance.now();
      await generate(ids, 1, () => {});
      return performance.now() - start;
    },
    async decode(ids, count, started) {
      let first;
      let last;
      await generate(ids, count + 1, () => {
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

export const load = (_, threads) => loadAs('fp32', threads);
