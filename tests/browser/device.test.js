// How the package chooses between the GPU and the processor: its own code, with engines and adapters that only say what is asked of
// them. What real ones do is in webgpu.test.js.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from './server.js';

/** An engine that takes so many milliseconds for a token. */
const ENGINE = `export const make = (name, ms) => ({
  default: async () => undefined,
  memoryBytes: () => 1000,
  WasmTextModel: class {
    static async load(files, options) {
      calls.push([name, 'load', options.device]);
      await files[0].read(0, 8);
      return new this();
    }
    static async measure(files, device) {
      calls.push([name, 'measure', device]);
      if (ms[device] === undefined) throw new Error('a shader is refused');
      return ms[device];
    }
    info() { return { architecture: 'none', layers: 2, weightBytes: 10 }; }
    adapter() { return name === 'webgpu' ? { name: 'a GPU' } : undefined; }
    async profile(tokens) { return { tokens, ms: 10 * tokens, counts: { dispatches: 3 * tokens, submits: tokens } }; }
    start() { throw Object.assign(new Error('it was reset'), { kind: 'device-lost' }); }
    free() { calls.push([name, 'free']); }
  },
});`;

let folder;
let votive;
const calls = (globalThis.calls = []);
const times = (globalThis.times = {});
const nav = { userAgent: 'a test' };

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-device-'));
  const dist = path.join(ROOT, 'pkg-template/dist');
  fs.cpSync(dist, folder, { recursive: true, filter: (file) => !path.basename(file).startsWith('votive_text_') });
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  fs.writeFileSync(path.join(folder, 'engine_mock.js'), ENGINE);
  for (const build of ['simd', 'relaxed', 'threads', 'webgpu']) {
    const script = `import { make } from './engine_mock.js'; const engine = make('${build}', times); export default engine.default; export const { memoryBytes, WasmTextModel } = engine;`;
    fs.writeFileSync(path.join(folder, `votive_text_${build}.js`), script);
    fs.writeFileSync(path.join(folder, `votive_text_${build}_bg.wasm`), '');
  }
  process.env.VOTIVE_CACHE = path.join(folder, 'cache');
  Object.defineProperty(globalThis, 'navigator', { value: nav, configurable: true });
  votive = await import(pathToFileURL(path.join(folder, 'index.js')).href);
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  calls.length = 0;
  Object.assign(times, { cpu: 9, webgpu: 5 });
  nav.gpu = { requestAdapter: async () => adapter('ampere') };
  await votive.clearCache();
});

const adapter = (architecture) => ({ features: new Set(['shader-f16']), limits: { maxBufferSize: 5, maxStorageBufferBindingSize: 4 }, info: { vendor: 'somebody', architecture, device: '', description: '' } });
const load = (options) => votive.TextModel.load(new Blob(['GGUF and more']), options);
const failure = async (options) => load(options).then(assert.fail, ({ code, message }) => ({ code, message }));

test('a GPU that is asked for is taken, an emulation too, and refused with the reason where there is none', async () => {
  nav.gpu = { requestAdapter: async () => adapter('swiftshader') };
  const model = await load({ device: 'webgpu' });
  assert.deepEqual([model.device, model.info.engine.build, model.info.engine.adapter.name], ['webgpu', 'webgpu', 'a GPU']);
  nav.gpu = { requestAdapter: async () => null };
  assert.match((await failure({ device: 'webgpu' })).message, /gives no WebGPU adapter/);
  nav.gpu = undefined;
  const { code, message } = await failure({ device: 'webgpu' });
  assert.equal(code, 'unsupported');
  assert.match(message, /device 'webgpu' cannot be used: there is no WebGPU here/);
});

test('without a GPU, on an emulation, and where a build is named, the processor computes, and it is told why', async () => {
  const reason = async (options) => {
    const { device, info } = await load({ threads: 1, ...options });
    assert.equal(device, 'cpu');
    return info.engine.deviceReason;
  };
  assert.equal(await reason({ engine: 'simd' }), "engine 'simd' was asked for");
  assert.equal(await reason({ device: 'cpu' }), 'it was asked for');
  nav.gpu = { requestAdapter: async () => adapter('swiftshader') };
  assert.match(await reason({}), /somebody swiftshader.* is an emulation/);
  nav.gpu = undefined;
  assert.match(await reason({}), /there is no WebGPU here/);
  assert.ok(calls.every(([engine, call]) => engine !== 'webgpu' && call !== 'measure'));
});

test('the faster device is taken by measuring once for each file', async () => {
  const model = await load({ threads: 1 });
  assert.equal(model.device, 'webgpu');
  assert.equal(model.info.engine.deviceReason, 'measured: a token takes about 5.0 ms on the GPU and 9.0 ms on the processor');
  assert.deepEqual(calls.map(([, call, device]) => [call, device]), [['measure', 'webgpu'], ['measure', 'cpu'], ['load', 'webgpu']]);
  calls.length = 0;
  await load({ threads: 1 });
  assert.deepEqual(calls, [['webgpu', 'load', 'webgpu']], 'it is remembered');
  assert.deepEqual(await votive.listCache(), [], 'and is no file');
  await votive.clearCache();
  times.cpu = 4;
  assert.equal((await load({ threads: 1 })).device, 'cpu');
});

test('a GPU that cannot be measured is not taken, and it is told why', async () => {
  times.webgpu = undefined;
  const { device, info } = await load({ threads: 1 });
  assert.deepEqual([device, info.engine.deviceReason], ['cpu', 'WebGPU failed: a shader is refused']);
});

test('a lost GPU is an error of its own class, and the model is loaded again', async () => {
  const model = await load({ device: 'webgpu' });
  const error = await model.generate('x').text().then(assert.fail, (error) => error);
  assert.ok(error instanceof votive.DeviceLostError);
  calls.length = 0;
  await model.reload();
  assert.deepEqual(calls, [['webgpu', 'free'], ['webgpu', 'load', 'webgpu']]);
});

test('what a token costs is told for each token', async () => {
  const model = await load({ device: 'webgpu' });
  assert.deepEqual(await model.profile({ tokens: 4 }), { tokens: 4, msPerToken: 10, device: 'webgpu', layers: 2, weightBytes: 10, perToken: { dispatches: 3, submits: 1 } });
  await assert.rejects(model.profile({ tokens: 0 }), votive.InputError);
});

test('the adapter is described, and options that make no sense are refused', async () => {
  assert.deepEqual(await votive.adapterInfo(), { name: 'somebody ampere', software: false, shaderF16: true, subgroups: false, timestamps: false, matrices: false, maxBuffer: 5, maxBinding: 4 });
  assert.equal((await failure({ device: 'gpu' })).code, 'input');
  assert.equal((await failure({ device: 'webgpu', engine: 'simd' })).code, 'input');
});
