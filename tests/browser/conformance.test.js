// The conformance suite of the operations, in Chromium, by every build of the engine and on WebGPU.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BUILDS, launch } from './harness.js';
import { serve } from './server.js';

/** Runs the suite by a build of the engine on a device. */
async function run(build, device, least) {
  const folder = process.env.VOTIVE_CONFORMANCE;
  const script = `votive_conformance_${build}.js`;
  assert.ok(folder && fs.existsSync(path.join(folder, script)), `VOTIVE_CONFORMANCE names no folder with ${script}: run \`cargo xtask test --only browser\``);
  const site = await serve({ '/conformance/': folder }, { '/run.html': '<!doctype html><title>conformance</title>' }, { isIsolated: build === 'threads' });
  const browser = await launch({ webgpu: device === 'webgpu' });
  try {
    const page = await browser.newPage();
    await page.goto(`${site.base}/run.html`);
    const { total, failed } = JSON.parse(
      await page.evaluate(
        async ([url, name]) => {
          const module = await import(url);
          await module.default();
          return module.run_conformance(name);
        },
        [`/conformance/${script}`, device],
      ),
    );
    assert.deepEqual(failed, []);
    assert.ok(total > least, `only ${total} cases ran`);
    console.log(`${total} cases`);
  } finally {
    await browser.close();
    site.close();
  }
}

for (const build of BUILDS) {
  test(`every operation gives the results of PyTorch in the browser too: ${build}`, { timeout: 240_000 }, () => run(build, 'cpu', 9000));
}

// Validation errors are failures: before a value is read, all error scopes are asked.
test('every operation gives the results of PyTorch on WebGPU in the browser', { timeout: 900_000 }, () => run('webgpu', 'webgpu', 2000));
