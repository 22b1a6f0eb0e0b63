// The package as it is packed for npm, in applications made with Vite and with webpack: installed, built, run in Chromium.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BUILDS, setUp } from './harness.js';
import { ROOT, serve } from './server.js';

const npm = (folder, ...args) => execFileSync(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

describe('applications', { concurrency: 1 }, () => {
  let at;
  let tarball;
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-apps-'));
  before(async () => {
    at = await setUp();
    const [{ filename, files }] = JSON.parse(npm(path.join(ROOT, 'pkg-template'), 'pack', '--json', '--ignore-scripts', '--pack-destination', scratch));
    tarball = path.join(scratch, filename);
    for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/worker.js', ...BUILDS.map((build) => `dist/votive_text_${build}_bg.wasm`), 'dist/tensor.js', 'dist/tensor.d.ts', 'dist/votive_tensor_simd_bg.wasm', 'README.md']) {
      assert.ok(files.some((packed) => packed.path === file), `${file} is not in the package`);
    }
  });
  after(async () => {
    await at?.close();
    fs.rmSync(scratch, { recursive: true });
  });

  for (const [name, output] of [['vite', 'dist'], ['webpack', 'dist']]) {
    test(`made with ${name} installs the package, builds and answers`, { timeout: 180_000 }, async () => {
      const app = path.join(ROOT, 'tests/apps', name);
      if (!fs.existsSync(path.join(app, 'node_modules', name))) npm(app, 'ci', '--no-audit', '--no-fund');
      const folder = path.join(app, 'node_modules', 'votive');
      fs.rmSync(folder, { recursive: true, force: true });
      fs.mkdirSync(folder);
      // What `npm install` does with a package that has no dependencies, without touching the lock file.
      execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components', '1']);
      npm(app, 'run', 'build');
      const site = await serve({ '/': path.join(app, output) });
      if (name === 'webpack') site.documents['/index.html'] = fs.readFileSync(path.join(app, 'index.html'), 'utf8');
      const page = await at.browser.newPage();
      const problems = [];
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
      try {
        await page.goto(`${site.base}/index.html?model=${encodeURIComponent(at.model)}`);
        await page.waitForFunction(() => /4.*; the sum is 10$/s.test(document.title), undefined, { timeout: 60_000 }).catch((error) => {
          throw new Error(`${error.message}: ${problems.join('; ')}`);
        });
        assert.equal(page.workers().length, 1);
      } finally {
        await page.close();
        site.close();
      }
    });
  }

  test('in TypeScript have strict types for all of it', () => {
    const folder = path.join(scratch, 'types');
    fs.mkdirSync(path.join(folder, 'node_modules/votive'), { recursive: true });
    execFileSync('tar', ['-xzf', tarball, '-C', path.join(folder, 'node_modules/votive'), '--strip-components', '1']);
    fs.copyFileSync(path.join(ROOT, 'tests/apps/types.ts'), path.join(folder, 'types.ts'));
    const tsc = path.join(ROOT, 'pkg-template/node_modules/typescript/bin/tsc');
    const options = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2023,dom,dom.iterable,esnext.disposable', '--types', ''];
    execFileSync(process.execPath, [tsc, ...options, 'types.ts'], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  });
});
