// The modules that wasm-bindgen writes into dist: module.ts says what each offers.
declare module '*_simd.js';
declare module '*_relaxed.js';
declare module '*_threads.js';
declare module '*_webgpu.js';
