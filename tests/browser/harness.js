// What the tests share: the site, the browser, and a page on which the package is at hand.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { MODEL_FILE, MODEL_PATH, MODELS, ROOT, serve, WHISPER_PATH } from './server.js';

const EXECUTABLES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
const FLAGS = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** The builds of the engine for text. */
export const BUILDS = ['simd', 'relaxed', 'threads'];

/** How long a page may take for anything: a machine under load starts processes slowly. */
const PATIENCE_MS = 120_000;

/** A page with the package in `votive` and helpers in `t`. */
const BENCH = `<!doctype html><meta charset="utf-8"><title>bench</title><script type="module">
  import * as votive from '/votive/index.js';
  globalThis.votive = votive;
  globalThis.t = {
    /** What a promise rejects with, as data. */
    failure: (promise) => promise.then(() => undefined, (e) => ({ name: e.name, code: e.code, message: e.message, isVotive: e instanceof votive.VotiveError, isError: e instanceof Error })),
    // With a system prompt, since the one that SmolLM2's template brings along makes it talk French about France.
    ask: (text) => [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: text }],
  };
  document.title = 'ready';
</script>`;

/** Fails with what to do about it when something that the tests need is not there. */
function requireFiles() {
  for (const [file, command] of [
    [MODEL_PATH, 'cargo xtask fetch --tests'],
    [WHISPER_PATH, 'cargo xtask fetch --tests'],
    ...[...BUILDS, 'webgpu'].flatMap((build) => ['text', 'speech'].map((kind) => [path.join(ROOT, `pkg-template/dist/votive_${kind}_${build}_bg.wasm`), 'cargo xtask build'])),
  ]) {
    if (!fs.existsSync(file)) throw new Error(`${file} is missing: run \`${command}\``);
  }
}

function executable() {
  const found = EXECUTABLES.find((file) => file && fs.existsSync(file));
  if (!found) throw new Error('no Chromium was found: set CHROMIUM to its path');
  return found;
}

/**
 * Starts a browser with a new, empty profile. With `webgpu` it has the adapter of the machine, or an emulation on the CPU;
 * without, none. `flags` are more of the browser's.
 */
export async function launch({ webgpu = false, flags = [] } = {}) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-test-'));
  const args = [...FLAGS, ...flags, ...(webgpu ? ['--enable-unsafe-webgpu'] : [])];
  const browser = await chromium.launchPersistentContext(profile, { executablePath: executable(), headless: true, args });
  browser.setDefaultTimeout(PATIENCE_MS);
  // Not before the end of the process: the browser's own processes write to it for a moment after they were closed.
  process.on('exit', () => {
    try {
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    } catch {
      // The system clears its folder of temporary files.
    }
  });
  return browser;
}

/**
 * Starts the site and the browser, with `webgpu` or without; `isIsolated` makes the site's pages cross-origin isolated, `flags` are the
 * browser's.
 */
export async function setUp({ isIsolated = false, webgpu = false, flags = [] } = {}) {
  requireFiles();
  const models = [{ id: 'smollm2', name: 'SmolLM2 135M Instruct', url: `/models/smollm2-135m-instruct/${MODEL_FILE}`, bytes: fs.statSync(MODEL_PATH).size, licence: 'Apache-2.0' }];
  models.push({ id: 'whisper-tiny.en', name: 'Whisper tiny.en', url: '/models/whisper-tiny.en/model.safetensors', bytes: fs.statSync(WHISPER_PATH).size, licence: 'MIT' });
  const site = await serve(
    { '/votive/': path.join(ROOT, 'pkg-template/dist'), '/models/': MODELS, '/golden/': path.join(ROOT, 'tests/golden'), '/': path.join(ROOT, 'www') },
    { '/bench.html': BENCH, '/models/models.json': JSON.stringify(models) },
    { isIsolated },
  );
  const browser = await launch({ webgpu, flags });
  const model = `${site.base}/models/smollm2-135m-instruct/${MODEL_FILE}`;
  return {
    site,
    browser,
    /** The model's address. */
    model,
    /** The speech model's. */
    whisper: `${site.base}/models/whisper-tiny.en/model.safetensors`,
    /** A page on which the package is at hand. */
    async bench(base = site.base) {
      const page = await browser.newPage();
      page.on('pageerror', (error) => console.error('page error:', error.message));
      await page.goto(`${base}/bench.html`);
      await page.waitForFunction(() => document.title === 'ready');
      return page;
    },
    async close() {
      await browser.close();
      site.close();
    },
  };
}
