// whisper.cpp's wasm (with SIMD and threads, of which it gets one), by @transcribe/shout and @transcribe/transcriber.
import createModule from '/modules/@transcribe/shout/src/shout/shout.wasm.js';
import { FileTranscriber } from '/modules/@transcribe/transcriber/src/index.js';
import { samples } from './samples.mjs';

export async function load({ ggml, audio }) {
  const quiet = () => {};
  const transcriber = new FileTranscriber({ createModule, model: ggml, print: quiet, printErr: quiet });
  await transcriber.init();
  const once = async () => {
    const { transcription } = await transcriber.transcribe(audio, { lang: 'en', threads: 1, token_timestamps: false });
    return transcription.map(({ text }) => text).join('');
  };
  return { transcribe: once, seconds: (await samples(audio)).length / 16_000 };
}
