import init, { CandleLlama } from '/candle/candle_wasm.js';

let model;
const commands = {
  async load(url) {
    await init();
    model = new CandleLlama(new Uint8Array(await (await fetch(url)).arrayBuffer()));
  },
  prefill(ids) {
    model.reset();
    model.forward(Uint32Array.from(ids));
  },
  decode({ ids, count }) {
    model.reset();
    let next = model.forward(Uint32Array.from(ids));
    postMessage({ started: true });
    const start = performance.now();
    for (let i = 0; i < count; i++) next = model.forward(Uint32Array.of(next));
    return performance.now() - start;
  },
};
onmessage = async ({ data: { command, value } }) => {
  try {
    const start = performance.now();
    const result = await commands[command](value);
    postMessage({ done: true, result, milliseconds: performance.now() - start });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
