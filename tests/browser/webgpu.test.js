// The package on WebGPU: on the machine's adapter, or Chromium's emulation of one.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setUp } from './harness.js';
import { MODELS, ROOT } from './server.js';

const golden = (name) => JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/smollm2-135m-instruct', name), 'utf8'));
const F16 = 'derived/smollm2-135m-instruct/SmolLM2-135M-Instruct.F16.gguf';

/** How many tokens are compared: an emulation takes seconds for each. */
const TOKENS = Number(process.env.VOTIVE_WEBGPU_TOKENS ?? 12);

describe('without an adapter', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp();
    page = await at.bench();
  });
  after(() => at?.close());

  test('WebGPU is refused, with the reason, when it is asked for', async () => {
    const error = await page.evaluate((url) => t.failure(votive.TextModel.load(url, { device: 'webgpu' })), at.model);
    assert.equal(error.code, 'unsupported');
    assert.match(error.message, /device 'webgpu' cannot be used: .*adapter|navigator\.gpu/);
    assert.equal(await page.evaluate(() => votive.adapterInfo()), undefined);
  });

  test('the processor computes unless something is asked for, and it is told why', async () => {
    const [device, engine] = await page.evaluate(async (url) => {
      const { device, info } = await votive.TextModel.load(url);
      return [device, info.engine];
    }, at.model);
    assert.equal(device, 'cpu');
    assert.match(engine.deviceReason, /adapter|navigator\.gpu/);
    assert.equal(engine.adapter, undefined);
  });

  test('options that make no sense are refused', async () => {
    const errors = await page.evaluate(
      (url) => Promise.all([{ device: 'gpu' }, { device: 'webgpu', engine: 'simd' }].map((options) => t.failure(votive.TextModel.load(url, options)))),
      at.model,
    );
    assert.deepEqual(errors.map(({ code }) => code), ['input', 'input']);
  });
});

describe('a model on WebGPU', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp({ webgpu: true });
    page = await at.bench();
  });
  after(() => at?.close());

  test('is not the default on an emulation', async () => {
    const [adapter, engine] = await page.evaluate(async (url) => {
      const model = await votive.TextModel.load(url);
      model.dispose();
      return [await votive.adapterInfo(), model.info.engine];
    }, at.model);
    assert.ok(adapter.name.length > 0 && adapter.maxBinding > 0);
    if (adapter.software) {
      assert.equal(engine.device, 'cpu');
      assert.match(engine.deviceReason, /emulation/);
    } else {
      assert.match(engine.deviceReason, /^measured: /);
    }
  });

  test('gives the greedy text of the reference, and creates nothing for a token', { timeout: 900_000 }, async () => {
    const reference = golden('reference_story_F16.json');
    const file = path.join(MODELS, F16);
    assert.ok(fs.existsSync(file), `${file} is missing: the native model tests derive it; run \`cargo test --test decoder_real\``);
    const { device, engine, memoryBytes, weightBytes, tokens, profile, seconds } = await page.evaluate(
      async ([url, ids, count]) => {
        t.model = await votive.TextModel.load(url, { device: 'webgpu', cache: false });
        const { memoryBytes, weightBytes } = t.model.info;
        const { device, info } = t.model;
        const start = performance.now();
        const { tokens } = await t.model.generate(ids, { temperature: 0, maxTokens: count, ignoreEos: true }).result;
        const seconds = (performance.now() - start) / 1000;
        return { device, engine: info.engine, memoryBytes, weightBytes, tokens, seconds, profile: await t.model.profile({ tokens: 4 }) };
      },
      [`${at.site.base}/models/${F16}`, reference.prompt_ids, TOKENS],
    );
    assert.equal(device, 'webgpu');
    assert.equal(engine.build, 'webgpu');
    // Weights do not pass through the engine's memory, which ends at 4 GiB: it holds the vocabulary, and no more for a larger model.
    assert.ok(memoryBytes < weightBytes / 4, `${memoryBytes} bytes of memory for ${weightBytes} of weights`);
    assert.deepEqual(tokens, reference.greedy_ids.slice(0, TOKENS));
    const { perToken, msPerToken, kernels } = profile;
    console.log(`${engine.adapter.name}: ${TOKENS} tokens in ${seconds.toFixed(0)} s; then ${msPerToken.toFixed(0)} ms a token`, perToken);
    assert.deepEqual([perToken.buffers, perToken.bindGroups, perToken.pipelines], [0, 0, 0]);
    assert.ok(perToken.submits <= 1, `${perToken.submits} submits`);
    assert.ok(perToken.dispatches <= 8 * profile.layers + 4, `${perToken.dispatches} dispatches`);
    if (engine.adapter.timestamps) {
      console.log(kernels);
      assert.equal(kernels[0].kernel, 'linear_row');
      assert.ok(kernels.every(({ microseconds }) => microseconds >= 0));
      assert.equal(kernels.reduce((sum, { dispatches }) => sum + dispatches, 0), perToken.dispatches);
    } else {
      assert.equal(kernels, undefined);
    }
  });
});

describe('Gemma on WebGPU', { concurrency: 1 }, () => {
  let at;
  before(async () => (at = await setUp({ webgpu: true })));
  after(() => at?.close());

  // Blocks of Q5_0, Q4_K, Q8_0 and Q6_K, a vocabulary of 262144, and attention of which most has a window.
  test('gives the greedy text of the processor', { timeout: 1_800_000 }, async () => {
    const page = await at.bench();
    const { prompt_ids: prompt } = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/gemma3-270m/reference_gguf.json'), 'utf8'));
    // Larger than the other: on an emulation a few must do, unless more are asked for.
    const count = TOKENS > 12 ? TOKENS : 4;
    const [gpu, cpu] = await page.evaluate(
      async ([url, prompt, maxTokens]) => {
        const answers = [];
        for (const device of ['webgpu', 'cpu']) {
          const model = await votive.TextModel.load(url, { device, contextLength: 256 });
          answers.push((await model.generate(prompt, { temperature: 0, maxTokens, ignoreEos: true }).result).tokens);
          model.dispose();
        }
        return answers;
      },
      [`${at.site.base}/models/gemma3-270m/gemma-3-270m-q4_k_m.gguf`, prompt, count],
    );
    assert.equal(cpu.length, count);
    assert.deepEqual(gpu, cpu);
  });
});

describe('speech on WebGPU', { concurrency: 1 }, () => {
  let at;
  before(async () => (at = await setUp({ webgpu: true })));
  after(() => at?.close());

  test('gives the tokens of the reference', { timeout: 900_000 }, async () => {
    const page = await at.bench();
    const reference = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/whisper/tiny.en_reference_jfk.json'), 'utf8'));
    const { device, engine, tokens, stats } = await page.evaluate(async (url) => {
      const transcriber = await votive.Transcriber.load(url, { device: 'webgpu' });
      const { segments, stats } = await transcriber.transcribe('/golden/audio/jfk.wav', { timestamps: false, temperature: 0 });
      const { device, info } = transcriber;
      transcriber.dispose();
      return { device, engine: info.engine, tokens: segments.flatMap(({ tokens }) => tokens), stats };
    }, at.whisper);
    console.log(`${engine.adapter?.name}: ${stats.encodeMs.toFixed(0)} ms in the encoder, ${stats.decodeMs.toFixed(0)} ms for ${stats.tokens} tokens`);
    assert.deepEqual([device, engine.build], ['webgpu', 'webgpu']);
    assert.deepEqual(tokens, reference.tokens.slice(reference.prompt.length));
  });
});

describe('the GPU’s device', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp({ webgpu: true });
    page = await at.bench();
    // In the page's own thread, where the device can be got hold of.
    await page.evaluate(() => {
      const requestDevice = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        t.descriptor = descriptor;
        t.device = await requestDevice.call(this, descriptor);
        return t.device;
      };
    });
  });
  after(() => at?.close());

  test('when lost is an error of its own class, and the model loads again from the browser’s storage', { timeout: 300_000 }, async () => {
    const { features, requested, error, reloadedFrom, again, first } = await page.evaluate(async (url) => {
      const model = await votive.TextModel.load(url, { device: 'webgpu', worker: false, contextLength: 64 });
      const answer = () => model.generate([504, 3575, 282], { temperature: 0, maxTokens: 2, ignoreEos: true }).result;
      const first = (await answer()).tokens;
      const features = [...t.device.features];
      const requested = t.descriptor.requiredFeatures;
      t.device.destroy();
      await t.device.lost;
      const error = await t.failure(answer());
      const events = [];
      await model.reload({ onProgress: (event) => events.push(event) });
      return { features, requested, error, reloadedFrom: events.filter(({ phase }) => phase === 'download').map(({ fromCache }) => fromCache), again: (await answer()).tokens, first };
    }, at.model);
    assert.deepEqual([error.name, error.code, error.isVotive], ['DeviceLostError', 'device-lost', true]);
    assert.ok(reloadedFrom.length > 0 && reloadedFrom.every(Boolean), `from the cache: ${reloadedFrom}`);
    assert.deepEqual(again, first);
    // wgpu cannot ask a browser for them.
    if (features.includes('subgroups')) assert.ok(requested.includes('subgroups'));
  });

  test('compiles programs side by side, and none while it answers', { timeout: 300_000 }, async () => {
    const compiled = await page.evaluate(async (url) => {
      const compiled = { createComputePipeline: [], createComputePipelineAsync: [] };
      const own = Object.keys(compiled).map((method) => [method, GPUDevice.prototype[method]]);
      for (const [method, call] of own) {
        GPUDevice.prototype[method] = function (descriptor) {
          compiled[method].push(descriptor.label);
          return call.call(this, descriptor);
        };
      }
      try {
        // A device of its own, on which nothing is compiled yet.
        t.device?.destroy();
        await t.device?.lost;
        const model = await votive.TextModel.load(url, { device: 'webgpu', worker: false, contextLength: 64 });
        await model.generate(Uint32Array.from({ length: 12 }, (_, i) => i + 100), { temperature: 0.8, topK: 5, seed: 1, maxTokens: 2, ignoreEos: true }).result;
        model.dispose();
        return compiled;
      } finally {
        for (const [method, call] of own) GPUDevice.prototype[method] = call;
      }
    }, at.model);
    assert.deepEqual(compiled.createComputePipeline, []);
    assert.ok(compiled.createComputePipelineAsync.length > 15, `${compiled.createComputePipelineAsync}`);
    assert.equal(new Set(compiled.createComputePipelineAsync).has('linear_tile'), true);
  });

  test('is taken when it is measured to be faster, which is remembered', { timeout: 300_000 }, async () => {
    const choices = await page.evaluate(async (url) => {
      // An emulation that does not say so.
      for (const [name, value] of [['architecture', 'a test'], ['isFallbackAdapter', false]]) Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => value });
      const choices = [];
      for (let i = 0; i < 2; i++) {
        const model = await votive.TextModel.load(url, { worker: false, contextLength: 64 });
        choices.push(model.info.engine);
        model.dispose();
      }
      return choices;
    }, at.model);
    for (const { deviceReason } of choices) assert.match(deviceReason, /^measured: a token takes about [\d.]+ ms on the GPU and [\d.]+ ms on the processor$/);
    assert.deepEqual(choices[0], choices[1]);
  });
});
