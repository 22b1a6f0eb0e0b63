// Downloads: kept, resumed, verified; what is wrong with a file or a server is told.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setUp } from './harness.js';
import { ggufHeader, MODEL_FILE, MODEL_PATH, MODELS, serve } from './server.js';

const SIZE = fs.statSync(MODEL_PATH, { throwIfNoEntry: false })?.size; // setUp says so when it is missing
const MB = 1e6;

describe('downloads', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp();
    page = await at.bench();
  });
  after(() => at?.close());
  beforeEach(async () => {
    Object.assign(at.site.faults, { cutAt: undefined, bytesPerSecond: undefined, isDown: false, hasNoRanges: false });
    await page.evaluate(() => votive.clearCache());
    at.site.log.length = 0;
  });

  /** Loads, answers shortly, disposes; gives the answer and what was reported of downloads. */
  const use = (source, options = {}) =>
    page.evaluate(
      async ({ source, options }) => {
        const events = [];
        const model = await votive.TextModel.load(source, { ...options, onProgress: (event) => events.push(event) });
        const text = await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();
        model.dispose();
        return { text, phases: events.map(({ phase }) => phase), downloads: events.filter(({ phase }) => phase === 'download') };
      },
      { source, options },
    );
  const failure = (source, options = {}) => page.evaluate(({ source, options }) => t.failure(votive.TextModel.load(source, options)), { source, options });
  const served = () => at.site.log.reduce((sum, { bytes }) => sum + bytes, 0);

  test('an aborted download ends at once, and the next load asks for the rest only', async () => {
    at.site.faults.bytesPerSecond = 100 * MB;
    const aborted = await page.evaluate(async (url) => {
      const controller = new AbortController();
      let at = 0;
      const error = await t.failure(
        votive.TextModel.load(url, {
          signal: controller.signal,
          onProgress: ({ loadedBytes }) => {
            if (loadedBytes < 30e6) return;
            at ||= performance.now();
            controller.abort();
          },
        }),
      );
      return { error, ms: performance.now() - at };
    }, at.model);
    assert.equal(aborted.error.name, 'AbortError');
    assert.ok(aborted.ms < 1000, `it took ${aborted.ms} ms`);
    at.site.faults.bytesPerSecond = undefined;
    at.site.log.length = 0;
    const { text, downloads } = await use(at.model);
    assert.match(text, /4/);
    assert.match(at.site.log[0].range, /^bytes=\d+-$/);
    assert.ok(downloads[0].loadedBytes >= 20 * MB, `resumed at ${downloads[0].loadedBytes}`);
    assert.ok(served() <= SIZE - 20 * MB, `${served()} bytes were served again`);
  });

  test('a connection that breaks is taken up again by itself', async () => {
    at.site.faults.cutAt = 40 * MB;
    const { text } = await use(at.model);
    assert.match(text, /4/);
    assert.equal(at.site.log.length, 2);
    const resumedAt = Number(/\d+/.exec(at.site.log[1].range)[0]);
    assert.ok(resumedAt > 30 * MB && resumedAt <= 40 * MB, `resumed at ${resumedAt}`);
    assert.ok(served() <= SIZE + 10 * MB);
  });

  test('a file that has changed meanwhile is downloaded anew', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-changed-'));
    const file = path.join(folder, MODEL_FILE);
    fs.copyFileSync(MODEL_PATH, file);
    const site = await serve({ '/': folder });
    try {
      site.faults.bytesPerSecond = 100 * MB;
      const error = await page.evaluate((url) => {
        const controller = new AbortController();
        return t.failure(votive.TextModel.load(url, { signal: controller.signal, onProgress: ({ loadedBytes }) => loadedBytes > 20e6 && controller.abort() }));
      }, `${site.base}/${MODEL_FILE}`);
      assert.equal(error.name, 'AbortError');
      site.faults.bytesPerSecond = undefined;
      fs.utimesSync(file, 1, 1);
      assert.match((await use(`${site.base}/${MODEL_FILE}`)).text, /4/);
      assert.ok(site.log.at(-1).bytes === SIZE, `${site.log.at(-1).bytes} bytes of the changed file were served`);
    } finally {
      site.close();
      fs.rmSync(folder, { recursive: true });
    }
  });

  test('a second visit needs no network', async () => {
    await use(at.model);
    at.site.log.length = 0;
    await page.reload();
    await page.waitForFunction(() => document.title === 'ready');
    const { text, downloads } = await use(at.model);
    assert.match(text, /4/);
    assert.equal(at.site.log.length, 0);
    assert.deepEqual(downloads, [{ phase: 'download', file: MODEL_FILE, loadedBytes: SIZE, totalBytes: SIZE, fromCache: true }]);
  });

  test('loading from what is kept is aborted too, and goes on the next time', async () => {
    await use(at.model);
    const error = await page.evaluate((url) => {
      const controller = new AbortController();
      return t.failure(votive.TextModel.load(url, { signal: controller.signal, onProgress: ({ phase }) => phase === 'load' && controller.abort() }));
    }, at.model);
    assert.equal(error.name, 'AbortError');
    assert.equal((await use(at.model)).downloads[0].fromCache, true);
  });

  test('two loads at once download once', async () => {
    const [a, b] = await page.evaluate(async (url) => {
      const models = await Promise.all([votive.TextModel.load(url), votive.TextModel.load(url)]);
      return Promise.all(models.map(async (model) => {
        const text = await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();
        model.dispose();
        return text;
      }));
    }, at.model);
    assert.equal(a, b);
    assert.ok(served() < SIZE + MB, `${served()} bytes were served`);
  });

  test('what is kept can be listed and deleted', async () => {
    await use(at.model);
    const { list, deleted, empty } = await page.evaluate(async (url) => {
      const list = await votive.listCache();
      return { list: list.map((entry) => ({ ...entry, savedAt: entry.savedAt instanceof Date })), deleted: await votive.deleteFromCache(url), empty: await votive.listCache() };
    }, at.model);
    assert.deepEqual(list, [{ url: at.model, totalBytes: SIZE, storedBytes: SIZE, complete: true, savedAt: true }]);
    assert.equal(deleted, 1);
    assert.deepEqual(empty, []);
  });

  test('cache: false keeps nothing', async () => {
    assert.match((await use(at.model, { cache: false })).text, /4/);
    assert.deepEqual(await page.evaluate(() => votive.listCache()), []);
  });

  test('bytes that were read, and are not kept, can be had again', async () => {
    const MIB = 2 ** 20;
    const places = [0, 3 * MIB, 20 * MIB, 20 * MIB + 5, 9 * MIB + 1, 30 * MIB - 3, SIZE - 10];
    for (const hasRanges of [true, false]) {
      at.site.faults.hasNoRanges = !hasRanges;
      at.site.log.length = 0;
      const read = await page.evaluate(
        async ({ url, places }) => {
          const { openRemote } = await import('/votive/source/download.js');
          const file = await openRemote({ name: 'model.gguf', url }, { signal: new AbortController().signal, cache: false, onProgress: () => undefined });
          // In order first, as an engine takes what comes, and a little at places that it has left behind.
          for (let offset = 0; offset < file.size; ) offset += (await file.read(offset, 1 << 20)).length;
          const read = [];
          for (const place of places) read.push([...(await file.read(place, 8))]);
          await file.done;
          const error = await file.read(file.size, 8).then(({ length }) => length);
          await file.close();
          return { read, error };
        },
        { url: at.model, places },
      );
      const bytes = fs.readFileSync(MODEL_PATH);
      read.read.forEach((found, i) => assert.deepEqual(bytes.subarray(places[i], places[i] + found.length), Buffer.from(found)));
      assert.ok(read.read.every(({ length }) => length > 0));
      assert.equal(read.error, 0);
      // What is at hand, or the head of the file, is not fetched again.
      const again = at.site.log.slice(1);
      assert.ok(again.length > 0 && again.length <= 3, JSON.stringify(again));
      if (hasRanges) assert.ok(served() < SIZE + 40 * MIB, `${served()} bytes`);
    }
  });

  test('a hub id loads, the token is sent, and a second visit needs no network', async () => {
    const hub = '/test/smol/resolve/main/';
    const site = await serve(
      { [hub]: path.join(MODELS, 'smollm2-135m-instruct') },
      { '/api/models/test/smol/revision/main': JSON.stringify({ siblings: [{ rfilename: 'README.md', size: 3 }, { rfilename: MODEL_FILE, size: SIZE }] }) },
    );
    try {
      const options = { hubEndpoint: site.base, token: 'secret' };
      const { text, phases } = await use('test/smol', options);
      assert.match(text, /4/);
      assert.equal(phases[0], 'resolve');
      assert.deepEqual([site.log[0].path, site.log[0].authorization], [`${hub}${MODEL_FILE}`, 'Bearer secret']);
      const list = await page.evaluate(() => votive.listCache());
      assert.deepEqual([list.length, list[0].model], [1, 'test/smol']);
      const named = await use('test/smol:q4_1', options);
      assert.equal(named.downloads[0].fromCache, true);

      const lacking = await failure('test/smol:Q8_0', options);
      assert.deepEqual([lacking.name, lacking.code], ['InputError', 'input']);
      assert.match(lacking.message, /Q4_1\.gguf/);

      site.faults.isDown = true;
      assert.match((await use('test/smol', options)).text, /4/);
      const unreachable = await failure('test/other', options);
      assert.deepEqual([unreachable.name, unreachable.code], ['NetworkError', 'network']);
      assert.equal(await page.evaluate(() => votive.deleteFromCache('test/smol')), 1);
    } finally {
      site.close();
    }
    const missing = await failure('test/none', { hubEndpoint: at.site.base });
    assert.deepEqual([missing.name, missing.code], ['NetworkError', 'not-found']);
  });

  test('files that are no models are told from models, and not kept', async () => {
    at.site.documents['/page.gguf'] = '<!doctype html><title>Not here</title>';
    const page404 = await failure(`${at.site.base}/nothing.gguf`);
    const html = await failure(`${at.site.base}/page.gguf`);
    assert.deepEqual([page404.name, page404.code], ['NetworkError', 'not-found']);
    assert.deepEqual([html.name, html.code], ['FormatError', 'format']);
    assert.deepEqual(await page.evaluate(() => votive.listCache()), []);
    const blobs = await page.evaluate(async (url) => {
      const whole = await (await fetch(url)).blob();
      const random = crypto.getRandomValues(new Uint8Array(65536));
      const load = (source) => t.failure(votive.TextModel.load(source));
      return [await load(whole.slice(0, 50e6)), await load(whole.slice(0, 1000)), await load(random), await load(new Uint8Array(0))];
    }, at.model);
    for (const error of blobs) assert.deepEqual([error.name, error.code], ['FormatError', 'format'], JSON.stringify(error));
    for (const source of [42, null, [], 'no model', ['a', 1]]) {
      const error = await failure(source);
      assert.ok(error?.isVotive, `${JSON.stringify(source)}: ${JSON.stringify(error)}`);
    }
  });

  test('a model that is too large for the memory says so before it is downloaded', async () => {
    const huge = await failure(`${at.site.base}/huge.gguf`);
    assert.deepEqual([huge.name, huge.code], ['OutOfMemoryError', 'out-of-memory']);
    const declared = [...ggufHeader(3 * 2 ** 30)];
    const lying = await page.evaluate((bytes) => t.failure(votive.TextModel.load(new Uint8Array(bytes))), declared);
    assert.ok(['FormatError', 'OutOfMemoryError'].includes(lying.name), JSON.stringify(lying));
    assert.match((await use(at.model)).text, /4/);
  });

  test('storage that is too small says so', async () => {
    const cdp = await at.browser.newCDPSession(page);
    await cdp.send('Storage.overrideQuotaForOrigin', { origin: at.site.base, quotaSize: 50 * MB });
    try {
      const error = await failure(at.model);
      assert.deepEqual([error.name, error.code], ['StorageError', 'storage']);
      assert.match(error.message, /cache: false/);
      assert.match((await use(at.model, { cache: false })).text, /4/);
    } finally {
      await cdp.send('Storage.overrideQuotaForOrigin', { origin: at.site.base });
    }
  });

  test('the package works from another site, by a plain script tag', async () => {
    at.site.documents['/plain.html'] = `<!doctype html><meta charset="utf-8"><title>…</title><script type="module">
      import { TextModel } from '${at.site.base}/votive/index.js';
      const model = await TextModel.load('${at.model}');
      document.title = await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text();
    </script>`;
    const plain = await at.browser.newPage();
    await plain.goto(`${at.site.other}/plain.html`);
    await plain.waitForFunction(() => document.title.includes('4'), undefined, { timeout: 60_000 });
    await plain.close();
  });
});
