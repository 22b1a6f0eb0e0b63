// candle compiled to wasm (benches/peers/candle-wasm), in a worker.
export async function load(url) {
  const worker = new Worker('/pages/candle-worker.mjs', { type: 'module' });
  const call = (command, value, started) =>
    new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = ({ data }) => {
        if (data.started) started?.();
        else if (data.error) reject(new Error(data.error));
        else resolve(data);
      };
      worker.postMessage({ command, value });
    });
  await call('load', url);
  return {
    prefill: async (ids) => (await call('prefill', ids)).milliseconds,
    decode: async (ids, count, started) => (await call('decode', { ids, count }, started)).result,
  };
}
