// Runs where the browser processes sound: hands the samples on, mixed to one channel, some at a time.

/** What an AudioWorklet's scope offers; TypeScript's libraries do not know it. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** Samples in a message: some 40 milliseconds. */
const BATCH = 2048;

class Capture extends AudioWorkletProcessor {
  #batch = new Float32Array(BATCH);
  #filled = 0;

  process([channels = []]: Float32Array[][]): boolean {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i] as number;
      this.#batch[this.#filled++] = sum / channels.length;
      if (this.#filled === BATCH) {
        this.port.postMessage(this.#batch, [this.#batch.buffer]);
        this.#batch = new Float32Array(BATCH);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('votive-capture', Capture);
export {};
