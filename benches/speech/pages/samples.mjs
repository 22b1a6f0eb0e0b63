/** The samples of a WAV file of 16 bits, one channel, 16 kHz, whose sound is its last chunk. */
export async function samples(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  const at = new TextDecoder('latin1').decode(bytes.slice(0, 4096)).indexOf('data') + 8;
  return Float32Array.from(new Int16Array(bytes.slice(at, bytes.byteLength - ((bytes.byteLength - at) % 2))), (value) => value / 32768);
}
