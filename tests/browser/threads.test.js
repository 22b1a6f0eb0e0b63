// The builds of the engine: which is picked, threads and how pages come to have them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BUILDS, setUp } from './harness.js';
import { ROOT, serve } from './server.js';

const DIST = path.join(ROOT, 'pkg-template/dist');
const golden = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/smollm2-135m-instruct/reference_Q4_1.json'), 'utf8'));
const ANSWER = 'The capital of France is Paris.';
const PROCESSORS = Math.min(8, os.availableParallelism());

/** Loads the model and lets it answer; what runs, and what it says. */
const answer = (page, url, options) =>
  page.evaluate(async ({ url, options, prompt }) => {
    const model = await votive.TextModel.load(url, options);
    const { text } = await model.generate(prompt, { temperature: 0, maxTokens: 20 }).result;
    model.dispose();
    const { build, threads, warnings } = model.info.engine;
    return { build, threads, warnings, text };
  }, { url, options, prompt: golden.prompt });

describe('a page that is not isolated', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp();
    page = await at.bench();
  });
  after(() => at?.close());

  test('gets relaxed SIMD, or the build asked for, and the same answer', async () => {
    assert.deepEqual(await answer(page, at.model, {}), { build: 'relaxed', threads: 1, warnings: [], text: ANSWER });
    assert.deepEqual(await answer(page, at.model, { engine: 'simd', worker: false }), { build: 'simd', threads: 1, warnings: [], text: ANSWER });
  });

  test('is told what cannot run', async () => {
    const load = (options) => page.evaluate(({ url, options }) => t.failure(votive.TextModel.load(url, options)), { url: at.model, options });
    const threads = await load({ engine: 'threads' });
    assert.equal(threads.code, 'unsupported');
    assert.match(threads.message, /cross-origin isolated/);
    for (const options of [{ engine: 'fast' }, { threads: 0 }, { threads: 1.5 }]) assert.equal((await load(options)).code, 'input');
  });

  test('becomes isolated by the service worker of the package', async () => {
    const html = `<!doctype html><title>loading</title><script type="module">
      import * as votive from '/votive/index.js';
      globalThis.votive = votive;
      document.title = (await votive.isolate('/isolation-worker.js')) ? 'isolated' : 'not isolated';
    </script>`;
    const worker = fs.readFileSync(path.join(DIST, 'isolation-worker.js'), 'utf8');
    Object.assign(at.site.documents, { '/isolated.html': html, '/isolation-worker.js': worker });
    const visitor = await at.browser.newPage();
    await visitor.goto(`${at.site.base}/isolated.html`);
    await visitor.waitForFunction(() => /isolated/.test(document.title));
    assert.equal(await visitor.title(), 'isolated');
    assert.equal(await visitor.evaluate(() => crossOriginIsolated), true);
    const { build, text } = await answer(visitor, at.model, { threads: 2 });
    assert.deepEqual({ build, text }, { build: 'threads', text: ANSWER });
    await visitor.close();
  });
});

describe('a page that is cross-origin isolated', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp({ isIsolated: true });
    page = await at.bench();
  });
  after(() => at?.close());

  test('gets threads, as many as the machine has or as are asked for, and the same answer', async () => {
    const several = await answer(page, at.model, { threads: 3 });
    assert.deepEqual(several, { build: 'threads', threads: 3, warnings: [], text: ANSWER });
    const usual = await answer(page, at.model, {});
    assert.deepEqual(usual, { build: PROCESSORS > 1 ? 'threads' : 'relaxed', threads: PROCESSORS, warnings: [], text: ANSWER });
  });

  test('gets every build that is asked for', async () => {
    for (const build of BUILDS) assert.equal((await answer(page, at.model, { engine: build, threads: 2 })).build, build);
    assert.equal((await answer(page, at.model, { threads: 1 })).build, 'relaxed');
    assert.equal((await answer(page, at.model, { worker: false })).build, 'relaxed');
  });

  test('computes with fewer threads where some cannot be started, and says so', async () => {
    const site = await serve({ '/votive/': DIST }, { '/votive/thread.js': 'import "./no-such-file.mjs";' }, { isIsolated: true });
    try {
      const { threads, warnings, text } = await page.evaluate(async ({ base, url, prompt }) => {
        const { TextModel } = await import(`${base}/votive/index.js`);
        const model = await TextModel.load(url, { engine: 'threads', threads: 3 });
        const { text } = await model.generate(prompt, { temperature: 0, maxTokens: 20 }).result;
        model.dispose();
        return { ...model.info.engine, text };
      }, { base: site.base, url: at.model, prompt: golden.prompt });
      assert.equal(threads, 1);
      assert.match(warnings.join(), /2 of 2 threads could not be started/);
      assert.equal(text, ANSWER);
    } finally {
      site.close();
    }
  });
});
