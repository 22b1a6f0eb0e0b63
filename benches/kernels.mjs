// Runs benches/kernels.rs or benches/operations.rs as WebAssembly under node: node benches/kernels.mjs FILE.wasm [FILTER]
// (node 20 needs --experimental-wasm-relaxed-simd for modules built with relaxed SIMD)
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));
let memory;
const bench = {
  // processor time, so that a busy machine measures alike
  now: () => process.cpuUsage().user / 1000,
  filter: (at, space) => new TextEncoder().encodeInto(process.argv[3] ?? "", new Uint8Array(memory.buffer, at, space)).written,
  print: (at, length) => console.log(new TextDecoder().decode(new Uint8Array(memory.buffer, at, length))),
};
// The library's JavaScript bindings are linked in and not used here.
const imports = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  const missing = () => {
    throw new Error(`${from}.${name} is not available in the benchmark`);
  };
  (imports[from] ??= {})[name] = from === "bench" ? bench[name] : missing;
}
const { exports } = await WebAssembly.instantiate(module, imports);
memory = exports.memory;
exports.main(0, 0);
