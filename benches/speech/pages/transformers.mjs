// transformers.js 4.3.1 with 8-bit weights, as its examples run it: in the page, one thread.
import { env, pipeline } from '/modules/@huggingface/transformers/dist/transformers.min.js';
import { samples } from './samples.mjs';

export async function load({ base, audio }) {
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/', useBrowserCache: false, useWasmCache: false });
  const { wasm } = env.backends.onnx;
  wasm.wasmPaths = `${base}/modules/onnxruntime-web/dist/`;
  wasm.numThreads = 1;
  wasm.proxy = false;
  const recogniser = await pipeline('automatic-speech-recognition', 'onnx', { dtype: 'q8', device: 'wasm' });
  const sound = await samples(audio);
  return { transcribe: async () => (await recogniser(sound)).text, seconds: sound.length / 16_000 };
}
