// From what the caller gave to the sound in it.
import { InputError, NetworkError, toVotiveError, UnsupportedError, type VotiveError } from '../errors.js';
import { fetchOrExplain, statusText } from '../source/download.js';
import { isNode, openPath, pathOf } from '../storage/node.js';
import { ByteReader } from './bytes.js';
import { decodeWhole, fromBuffer, MOST_BYTES } from './decode.js';
import { openLive } from './live.js';
import { type AudioReader, fromChannels, type Piece } from './reader.js';
import { isWav, openWav } from './wav.js';

/** Samples of one channel, from -1 to 1 (integers: over their whole range). */
export type Samples = Float32Array | Float64Array | Int16Array;

/** Where sound comes from; see `Transcriber.transcribe`. */
export type AudioSource = string | URL | Blob | ArrayBuffer | Uint8Array | Samples | { samples: Samples; sampleRate: number } | AudioBuffer | MediaStream;

/** What a model hears, and bare samples are taken for. */
const SAMPLE_RATE = 16_000;
/** Bytes of a file that are read at once in Node. */
const READ = 1 << 20;

/** Opens the sound of `source`. `until` ends live sound; `onSound` hears what is read, live sound as it comes. */
export async function openAudio(source: AudioSource, signal: AbortSignal, until: AbortSignal | undefined, onSound: (sound: Piece) => void): Promise<AudioReader> {
  if (typeof MediaStream === 'function' && source instanceof MediaStream) return openLive(source, until, onSound);
  const reader = await openStill(source as Exclude<AudioSource, MediaStream>, signal);
  const next = async () => {
    const samples = await reader.next();
    if (samples) onSound({ samples, sampleRate: reader.sampleRate });
    return samples;
  };
  return { sampleRate: reader.sampleRate, seconds: reader.seconds, isLive: false, next, close: () => reader.close() };
}

async function openStill(source: Exclude<AudioSource, MediaStream>, signal: AbortSignal): Promise<AudioReader> {
  if (typeof AudioBuffer === 'function' && source instanceof AudioBuffer) return fromBuffer(source);
  if (isSamples(source)) return fromSamples(source, SAMPLE_RATE);
  if (typeof source === 'string' || source instanceof URL) return fromAddress(String(source), signal);
  if (source instanceof Blob) return fromBytes(source.stream(), nameOf(source));
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) return fromBytes(new Blob([source as BlobPart]).stream(), 'the sound');
  const { samples, sampleRate } = ((source as unknown) ?? {}) as { samples?: unknown; sampleRate?: unknown };
  if (isSamples(samples)) {
    if (typeof sampleRate !== 'number' || !(sampleRate > 0)) throw new InputError(`sampleRate has to be the samples in a second, not ${String(sampleRate)}`);
    return fromSamples(samples, Math.round(sampleRate));
  }
  throw new InputError('sound is a URL, a File or Blob, its bytes (ArrayBuffer, Uint8Array), samples (Float32Array at 16 kHz, or { samples, sampleRate }), an AudioBuffer or a MediaStream');
}

const isSamples = (value: unknown): value is Samples => value instanceof Float32Array || value instanceof Float64Array || value instanceof Int16Array;

function fromSamples(samples: Samples, sampleRate: number): AudioReader {
  if (samples instanceof Float32Array) return fromChannels([samples], sampleRate);
  const scale = samples instanceof Int16Array ? 2 ** -15 : 1;
  return fromChannels([Float32Array.from(samples, (value) => value * scale)], sampleRate);
}

async function fromAddress(address: string, signal: AbortSignal): Promise<AudioReader> {
  if (isNode && (address.startsWith('file:') || !/^[a-z][a-z0-9+.-]+:/i.test(address))) return fromPath(address.startsWith('file:') ? pathOf(new URL(address)) : address);
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (!URL.canParse(address, base)) throw new InputError(`${JSON.stringify(address)} is no address of a sound`);
  const { href } = new URL(address, base);
  const response = await fetchOrExplain(href, { signal });
  if (!response.ok || !response.body) throw new NetworkError(href, statusText(response), response.status);
  const explain = (cause: unknown) => (signal.aborted ? toVotiveError(signal.reason) : new NetworkError(href, 'the connection broke while the sound arrived', undefined, { cause }));
  return fromBytes(response.body, href, explain);
}

async function fromPath(path: string): Promise<AudioReader> {
  const file = await openPath(path).catch((cause: unknown) => {
    throw new InputError(`${path}: there is no such file`, { cause });
  });
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await file.read(at, READ);
      at += bytes.length;
      if (bytes.length > 0) return controller.enqueue(bytes);
      controller.close();
      await file.close();
    },
    cancel: () => file.close(),
  });
  return fromBytes(stream, path);
}

async function fromBytes(stream: ReadableStream<Uint8Array>, name: string, explain = (cause: unknown): VotiveError => unreadable(name, cause)): Promise<AudioReader> {
  const bytes = new ByteReader(stream, explain);
  try {
    const head = await bytes.peek(12);
    if (head.length === 0) throw new InputError(`${name}: the file is empty`);
    if (isWav(head)) return await openWav(bytes, name);
    const whole = await bytes.rest(MOST_BYTES);
    if (!whole) throw new UnsupportedError(`${name}: more than ${MOST_BYTES / 2 ** 20} MiB of compressed sound, which the browser decodes at once, is too much; as a WAV file it can be of any length`);
    const reader = await decodeWhole(whole, name);
    bytes.close();
    return reader;
  } catch (error) {
    bytes.close();
    throw error;
  }
}

const unreadable = (name: string, cause: unknown) => new InputError(`${name}: the file cannot be read; was it moved or changed?`, { cause });

function nameOf(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' ? blob.name : 'the sound';
}
