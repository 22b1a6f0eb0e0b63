// Sounds for the tests: the golden recording, and what is made of it.
import fs from 'node:fs';
import path from 'node:path';
import { ROOT } from './server.js';

export const JFK_PATH = path.join(ROOT, 'tests/golden/audio/jfk.wav');
/** The recording's samples: 16-bit, mono, 16 kHz, behind a head of 44 or more bytes. */
export function jfk() {
  const file = fs.readFileSync(JFK_PATH);
  const at = file.indexOf('data') + 8;
  return new Int16Array(file.buffer.slice(file.byteOffset + at, file.byteOffset + file.length - ((file.length - at) % 2)));
}

/** A 16-bit WAV file of interleaved samples. */
export function wav(samples, sampleRate, channels = 1) {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length * 2, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(sampleRate, 24);
  head.writeUInt32LE(sampleRate * channels * 2, 28);
  head.writeUInt16LE(channels * 2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length * 2, 40);
  return Buffer.concat([head, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}

/** The recording at 48 kHz in two channels, one of them louder: points on straight lines between its own. */
export function jfkStereo() {
  const mono = jfk();
  const out = new Int16Array(mono.length * 6);
  for (let i = 0; i < mono.length * 3; i++) {
    const [k, part] = [Math.floor(i / 3), (i % 3) / 3];
    const value = mono[k] * (1 - part) + (mono[k + 1] ?? 0) * part;
    out[2 * i] = value;
    out[2 * i + 1] = value / 2;
  }
  return wav(out, 48_000, 2);
}
