// The package in Node, without a Worker.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MODEL_FILE, MODEL_PATH, MODELS, ROOT, serve } from './server.js';

describe('in Node', { concurrency: 1 }, async () => {
  const cache = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-cache-'));
  process.env.VOTIVE_CACHE = cache;
  after(() => fs.rmSync(cache, { recursive: true }));
  const votive = await import(pathToFileURL(path.join(ROOT, 'pkg-template/dist/index.js')));
  const { TextModel } = votive;
  const count = (model) => model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();

  test('a model loads from a path and from a file: URL, and streams', async () => {
    for (const source of [MODEL_PATH, pathToFileURL(MODEL_PATH)]) {
      const model = await TextModel.load(source);
      const parts = [];
      for await (const text of model.chat([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'What is the capital of France?' }], { temperature: 0 })) parts.push(text);
      assert.equal(parts.join(''), 'The capital of France is Paris.');
      model.dispose();
      await assert.rejects(model.generate('x').text(), { code: 'disposed' });
    }
  });

  test('a generation is aborted, and the model answers on', async () => {
    const model = await TextModel.load(MODEL_PATH);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(model.generate('Once upon a time', { maxTokens: 500, signal: controller.signal }).text(), { name: 'AbortError' });
    assert.match(await count(model), /4/);
    model.dispose();
  });

  test('a download is kept in a folder', async () => {
    const site = await serve({ '/': path.join(MODELS, 'smollm2-135m-instruct') });
    const url = `${site.base}/${MODEL_FILE}`;
    try {
      for (let visit = 0; visit < 2; visit++) {
        const model = await TextModel.load(url);
        assert.match(await count(model), /4/);
        model.dispose();
        assert.equal(site.log.length, 1);
      }
      assert.deepEqual((await votive.listCache()).map((entry) => [entry.url, entry.complete]), [[url, true]]);
      assert.equal(await votive.clearCache(), 1);
    } finally {
      site.close();
    }
  });

  test('what is wrong is told', async () => {
    await assert.rejects(TextModel.load('/no/such/model.gguf'), { code: 'input' });
    await assert.rejects(TextModel.load(new Uint8Array(100)), { code: 'format' });
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(TextModel.load(MODEL_PATH, { signal: controller.signal }), { name: 'AbortError' });
  });
});
