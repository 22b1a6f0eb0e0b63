// Files other than WAV: decoded by the browser, at once.
import { FormatError, UnsupportedError } from '../errors.js';
import { type AudioReader, fromChannels } from './reader.js';

/** The most bytes of a file that is decoded at once. As samples it becomes some ten times as large. */
export const MOST_BYTES = 256 * 2 ** 20;
/** The rate to decode to: what the model hears. */
const SAMPLE_RATE = 16_000;

/** Whether the browser decodes here: a page's main thread. */
export const canDecode = () => typeof OfflineAudioContext === 'function';

/** Lets the browser decode a whole file. It does so in a thread of its own. */
export async function decodeWhole(bytes: Uint8Array, name: string): Promise<AudioReader> {
  if (!canDecode()) throw new UnsupportedError(`${name}: only WAV files are decoded here; in a page the browser decodes others`);
  const buffer = bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  let sound: AudioBuffer;
  try {
    sound = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(buffer as ArrayBuffer);
  } catch (cause) {
    throw new FormatError(`${name}: the browser cannot decode this: it is no sound, damaged, or of a kind that it does not know`, { cause });
  }
  return fromBuffer(sound);
}

/** The sound of an AudioBuffer. */
export function fromBuffer(sound: AudioBuffer): AudioReader {
  return fromChannels(
    Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i)),
    sound.sampleRate,
  );
}
