// WAV files as they come, RF64 among them: of any length, a piece at a time.
import { FormatError, UnsupportedError } from '../errors.js';
import type { ByteReader } from './bytes.js';
import { type AudioReader, mix, PIECE_SECONDS } from './reader.js';

/** Kinds of samples, by the numbers that files give them. */
const PCM = 1;
const FLOAT = 3;
const ALAW = 6;
const MULAW = 7;
const EXTENSIBLE = 0xfffe;
/** A chunk's size that means: until the end of the file, or see `ds64`. */
const UNKNOWN = 0xffffffff;
/** The most bytes that a chunk other than sound may have that is read. */
const MAX_CHUNK = 1 << 16;

interface Format {
  kind: number;
  channels: number;
  sampleRate: number;
  /** Bytes of a sample. */
  width: number;
}

/** Whether a file that begins so is a WAV file. */
export function isWav(head: Uint8Array): boolean {
  const [riff, wave] = [text(head, 0), text(head, 8)];
  return (riff === 'RIFF' || riff === 'RF64') && wave === 'WAVE';
}

/** Reads the head of a WAV file; its sound is read as it is asked for. */
export async function openWav(bytes: ByteReader, name: string): Promise<AudioReader> {
  await bytes.skip(12);
  let format: Format | undefined;
  let wide: number | undefined;
  for (;;) {
    const head = await bytes.take(8);
    if (head.length < 8) throw new FormatError(`${name}: the WAV file ends before any sound`);
    const id = text(head, 0);
    const size = view(head).getUint32(4, true);
    if (id === 'data') {
      if (!format) throw new FormatError(`${name}: the WAV file does not say what its samples are`);
      // Programs that write to a pipe leave the size open.
      const length = size === UNKNOWN || size === 0 ? (wide ?? Infinity) : size;
      return reader(bytes, format, length, name);
    }
    if (id === 'fmt ' || id === 'ds64') {
      if (size > MAX_CHUNK) throw new FormatError(`${name}: the WAV file's chunk ${JSON.stringify(id)} has ${size} bytes`);
      const chunk = await bytes.take(size + (size & 1));
      if (chunk.length < (id === 'fmt ' ? 16 : 24) || chunk.length < size) throw new FormatError(`${name}: the WAV file is cut short`);
      if (id === 'fmt ') format = readFormat(chunk, name);
      else wide = Number(view(chunk).getBigUint64(8, true));
    } else {
      await bytes.skip(size + (size & 1));
    }
  }
}

function readFormat(chunk: Uint8Array, name: string): Format {
  const data = view(chunk);
  const [tag, channels, sampleRate, block, bits] = [data.getUint16(0, true), data.getUint16(2, true), data.getUint32(4, true), data.getUint16(12, true), data.getUint16(14, true)];
  const kind = tag === EXTENSIBLE && chunk.length >= 26 ? data.getUint16(24, true) : tag;
  const width = channels > 0 ? block / channels : 0;
  const widths: Record<number, number[]> = { [PCM]: [1, 2, 3, 4], [FLOAT]: [4, 8], [ALAW]: [1], [MULAW]: [1] };
  if (!(kind in widths)) {
    throw new UnsupportedError(`${name}: a WAV file of kind 0x${kind.toString(16)}; uncompressed samples, A-law and µ-law are read`);
  }
  if (channels === 0 || sampleRate === 0 || !widths[kind]?.includes(width) || bits > 8 * width) {
    throw new FormatError(`${name}: the WAV file says ${channels} channels, ${sampleRate} samples a second, ${block} bytes for ${bits} bits`);
  }
  return { kind, channels, sampleRate, width };
}

function reader(bytes: ByteReader, format: Format, length: number, name: string): AudioReader {
  const { channels, sampleRate, width } = format;
  const block = channels * width;
  // A piece's bytes are bounded too: a file may claim any rate and any number of channels.
  const step = block * Math.max(1, Math.min(Math.ceil(sampleRate * PIECE_SECONDS), Math.floor((1 << 23) / block)));
  let left = length;
  let isFirst = true;
  return {
    sampleRate,
    seconds: Number.isFinite(length) ? Math.floor(length / block) / sampleRate : undefined,
    isLive: false,
    async next() {
      const taken = await bytes.take(Math.min(step, left));
      left -= taken.length;
      const frames = Math.floor(taken.length / block);
      if (frames === 0) {
        if (isFirst && Number.isFinite(length) && length >= block) throw new FormatError(`${name}: the WAV file is cut off before its sound`);
        return undefined;
      }
      isFirst = false;
      return samples(taken, frames, format);
    },
    close: () => bytes.close(),
  };
}

/** Frames as mono samples. */
function samples(bytes: Uint8Array, frames: number, { kind, channels, width }: Format): Float32Array {
  const data = view(bytes);
  const read = sampleReader(kind, width);
  const all = Array.from({ length: channels }, () => new Float32Array(frames));
  all.forEach((channel, c) => {
    for (let i = 0, at = c * width; i < frames; i++, at += channels * width) channel[i] = read(data, at);
  });
  return mix(all);
}

function sampleReader(kind: number, width: number): (data: DataView, at: number) => number {
  if (kind === ALAW) return (data, at) => alaw(data.getUint8(at));
  if (kind === MULAW) return (data, at) => mulaw(data.getUint8(at));
  if (kind === FLOAT) return width === 4 ? (data, at) => data.getFloat32(at, true) : (data, at) => data.getFloat64(at, true);
  if (width === 1) return (data, at) => (data.getUint8(at) - 128) / 128;
  if (width === 2) return (data, at) => data.getInt16(at, true) / 2 ** 15;
  if (width === 3) return (data, at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 2 ** 16) / 2 ** 23;
  return (data, at) => data.getInt32(at, true) / 2 ** 31;
}

/** A sample of ITU-T G.711's A-law. */
function alaw(byte: number): number {
  const value = byte ^ 0x55;
  const exponent = (value >> 4) & 7;
  const mantissa = ((value & 15) << 4) + 8;
  const size = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1);
  return (value & 0x80 ? size : -size) / 2 ** 15;
}

/** A sample of ITU-T G.711's µ-law. */
function mulaw(byte: number): number {
  const value = ~byte & 0xff;
  const size = ((((value & 15) << 3) + 132) << ((value >> 4) & 7)) - 132;
  return (value & 0x80 ? -size : size) / 2 ** 15;
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const text = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
