// Sound as the engine takes it: mono samples, a piece at a time, however long it is.

/** Sound that is read from its beginning to its end. */
export interface AudioReader {
  /** Samples in a second. */
  readonly sampleRate: number;
  /** Its length, where it is known. */
  readonly seconds: number | undefined;
  /** Whether it comes as it is said, so that text is wanted before it ends. */
  readonly isLive: boolean;
  /** The next samples, from -1 to 1; `undefined` at the end. */
  next(): Promise<Float32Array | undefined>;
  /** Lets go of what it holds. */
  close(): void;
}

/** What is sent to the Worker: samples, and how many of them are a second. */
export interface Piece {
  samples: Float32Array;
  sampleRate: number;
}

/** Seconds of sound in a piece. */
export const PIECE_SECONDS = 10;

/** Samples that are at hand, of any number of channels. */
export function fromChannels(channels: readonly Float32Array[], sampleRate: number): AudioReader {
  const length = channels[0]?.length ?? 0;
  const step = Math.ceil(PIECE_SECONDS * sampleRate);
  let at = 0;
  return {
    sampleRate,
    seconds: length / sampleRate,
    isLive: false,
    async next() {
      if (at >= length) return undefined;
      const piece = mix(channels.map((channel) => channel.subarray(at, at + step)));
      at += step;
      return piece;
    },
    close() {
      channels = [];
      at = length;
    },
  };
}

/** The mean of channels, as new samples. */
export function mix(channels: readonly Float32Array[]): Float32Array {
  const [first] = channels;
  if (!first) return new Float32Array(0);
  const sum = first.slice();
  if (channels.length === 1) return sum;
  for (const channel of channels.slice(1)) for (let i = 0; i < sum.length; i++) sum[i]! += channel[i]!;
  for (let i = 0; i < sum.length; i++) sum[i]! /= channels.length;
  return sum;
}
