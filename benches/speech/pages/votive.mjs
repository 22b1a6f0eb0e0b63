// Votive through its published package, in the Worker that the package starts, with one thread.
import { Transcriber } from '/votive/index.js';

export async function load({ model, audio }) {
  const transcriber = await Transcriber.load(model, { cache: false, threads: 1, device: 'cpu' });
  const sound = await (await fetch(audio)).blob();
  const once = async () => (await transcriber.transcribe(sound, { timestamps: false, language: 'en' })).text;
  return { transcribe: once, seconds: (sound.size - 44) / 32_000 };
}
