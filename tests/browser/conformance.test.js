// The conformance suite of the operations, in Chromium, by every build of the engine and on WebGPU.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { launch } from './harness.js';
import { ROOT, serve } from './server.js';

/** How many threads beside the engine's own compute in the build that has them. */
const MORE_THREADS = 2;

/** A Worker that does `work` with the engine in `glue`, whose threads the package's own code starts. */
const worker = (work) => `
  import * as glue from '/votive/votive_text_threads.js';
  import { startThreads } from '/votive/threads.js';
  onmessage = async () => {
    try {
      await glue.default({});
      const { started, warnings } = await startThreads('text', glue, ${MORE_THREADS});
      if (started !== ${MORE_THREADS}) throw new Error(warnings.join());
      while (glue.threads() <= ${MORE_THREADS}) await new Promise((resolve) => setTimeout(resolve, 1));
      postMessage(${work});
    } catch (error) {
      postMessage(JSON.stringify({ error: String(error) }));
    }
  };
  postMessage('ready');`;

/** What a Worker answers. */
const ask = (page, script) =>
  page.evaluate(
    (script) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(script, { type: 'module' });
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data }) => {
          if (data === 'ready') return worker.postMessage('go');
          worker.terminate();
          resolve(data);
        };
      }),
    script,
  );

/** Opens a page at which the suite is, for the build, and does `work` with it. */
async function visit(build, work) {
  const folder = process.env.VOTIVE_CONFORMANCE;
  const script = `votive_conformance_${build}.js`;
  assert.ok(folder && fs.existsSync(path.join(folder, script)), `VOTIVE_CONFORMANCE names no folder with ${script}: run \`cargo xtask test --only browser\``);
  const documents = {
    '/run.html': '<!doctype html><title>conformance</title>',
    // The package's code for threads finds the suite where it looks for its own module.
    '/votive/votive_text_threads.js': "export * from '/conformance/votive_conformance_threads.js'; export { default } from '/conformance/votive_conformance_threads.js';",
    '/conform.js': worker("await glue.run_conformance('cpu')"),
    '/trap.js': worker('JSON.stringify(glue.trapInThread())'),
  };
  const site = await serve({ '/conformance/': folder, '/votive/': path.join(ROOT, 'pkg-template/dist') }, documents, { isIsolated: build === 'threads' });
  const browser = await launch({ webgpu: build === 'webgpu' });
  try {
    const page = await browser.newPage();
    await page.goto(`${site.base}/run.html`);
    await work(page);
  } finally {
    await browser.close();
    site.close();
  }
}

/** Runs the suite by a build of the engine on a device. */
const conform = (build, device, least) =>
  visit(build, async (page) => {
    const run = async ([url, name]) => {
      const module = await import(url);
      await module.default();
      return module.run_conformance(name);
    };
    const answer = build === 'threads' ? ask(page, '/conform.js') : page.evaluate(run, [`/conformance/votive_conformance_${build}.js`, device]);
    const { total, failed, error } = JSON.parse(await answer);
    assert.equal(error, undefined);
    assert.deepEqual(failed, []);
    assert.ok(total > least, `only ${total} cases ran`);
    console.log(`${total} cases`);
  });

// The build with threads has the kernels with relaxed SIMD too.
for (const build of ['simd', 'threads']) {
  test(`every operation gives the results of PyTorch in the browser too: ${build}`, { timeout: 400_000 }, () => conform(build, 'cpu', 9000));
}

// Validation errors are failures: before a value is read, all error scopes are asked.
test('every operation gives the results of PyTorch on WebGPU in the browser', { timeout: 900_000 }, () => conform('webgpu', 'webgpu', 2000));

test('a thread that traps in its work ends the call that waits for it', { timeout: 60_000 }, () =>
  visit('threads', async (page) => {
    const { error } = JSON.parse(await ask(page, '/trap.js'));
    assert.match(error, /unreachable/);
  }));
