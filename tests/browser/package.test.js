// The package as a developer uses it, in Chromium, with SmolLM2.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setUp } from './harness.js';
import { MODEL_PATH, MODELS, ROOT, serve } from './server.js';

const golden = (name) => JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/smollm2-135m-instruct', name), 'utf8'));
const derived = (name) => {
  const file = path.join(MODELS, 'derived', name);
  assert.ok(fs.existsSync(file), `${file} is missing: the native model tests derive it; run \`cargo test --test decoder_real\``);
  return `derived/${name}`;
};

describe('a loaded model', { concurrency: 1 }, () => {
  let at;
  let page;
  let loaded;
  before(async () => {
    at = await setUp();
    page = await at.bench();
    loaded = await page.evaluate(async (url) => {
      const events = [];
      t.model = await votive.TextModel.load(url, { onProgress: (event) => events.push(event) });
      return { info: t.model.info, events };
    }, at.model);
  });
  after(() => at?.close());

  test('tells its progress in bytes, and what it is', () => {
    const { info, events } = loaded;
    const size = fs.statSync(MODEL_PATH).size;
    const downloads = events.filter(({ phase }) => phase === 'download');
    assert.ok(downloads.length > 1);
    assert.deepEqual({ ...downloads.at(-1) }, { phase: 'download', file: path.basename(MODEL_PATH), loadedBytes: size, totalBytes: size, fromCache: false });
    for (let i = 1; i < downloads.length; i++) assert.ok(downloads[i].loadedBytes >= downloads[i - 1].loadedBytes);
    assert.ok(events.some(({ phase }) => phase === 'load'));
    assert.equal(events.at(-1).phase, 'ready');
    assert.equal(info.architecture, 'llama');
    assert.equal(info.layers, 30);
    assert.equal(info.vocabSize, 49152);
    assert.equal(info.hasChatTemplate, true);
  });

  test('takes at most 1.25 times its weights while loading', () => {
    const { memoryBytes, weightBytes } = loaded.info;
    assert.ok(memoryBytes <= 1.25 * weightBytes, `${memoryBytes} bytes of memory for ${weightBytes} of weights`);
  });

  test('streams the answer of the reference, token by token', async () => {
    const reference = golden('reference_Q4_1.json');
    const { parts, result } = await page.evaluate(async (prompt) => {
      const stream = t.model.generate(prompt, { temperature: 0, maxTokens: 20 });
      const parts = [];
      for await (const text of stream) parts.push(text);
      return { parts, result: await stream.result };
    }, reference.prompt);
    assert.ok(parts.length >= 5, `${parts.length} parts`);
    assert.equal(parts.join(''), result.text);
    assert.equal(result.text, 'The capital of France is Paris.');
    const { finishReason, tokens, stats } = result;
    assert.equal(finishReason, 'eos');
    assert.deepEqual(tokens, reference.greedy_ids.slice(0, -1)); // all but the token that ends the answer
    assert.equal(stats.generatedTokens, tokens.length);
    for (const key of ['promptTokens', 'prefillTokensPerSecond', 'decodeTokensPerSecond', 'timeToFirstTokenMs', 'memoryBytes']) {
      assert.ok(stats[key] > 0, `${key} is ${stats[key]}`);
    }
  });

  test('gives the same text for the same seed', async () => {
    const [a, b, c] = await page.evaluate(async () => {
      const once = (seed) => t.model.generate('Once upon a time', { seed, temperature: 1, maxTokens: 12 }).text();
      return [await once(7), await once(7), await once(8)];
    });
    assert.equal(a, b);
    assert.notEqual(a, c);
  });

  test('computes only what is new in a chat', async () => {
    const { answers, stats, messages, cloned } = await page.evaluate(async () => {
      const session = t.model.createSession({ systemPrompt: 'Answer in one short sentence.', temperature: 0, maxTokens: 12 });
      const answers = [await session.prompt('What is the capital of France?')];
      const clone = session.clone();
      const stream = session.promptStreaming('And of Italy?');
      answers.push(await stream.text());
      return { answers, stats: (await stream.result).stats, messages: session.messages, cloned: clone.messages };
    });
    assert.ok(stats.cachedTokens > 20, `${stats.cachedTokens} of ${stats.promptTokens} tokens were known`);
    assert.ok(stats.promptTokens > stats.cachedTokens);
    assert.deepEqual(messages.map(({ role }) => role), ['system', 'user', 'assistant', 'user', 'assistant']);
    assert.deepEqual([messages[2].content, messages[4].content], answers);
    assert.equal(cloned.length, 3);
  });

  test('stops when the loop is left, and answers on', async () => {
    const { text, result, next } = await page.evaluate(async () => {
      const stream = t.model.generate('Once upon a time', { temperature: 0, maxTokens: 400 });
      let text = '';
      for await (const part of stream) {
        text += part;
        if (text.length > 20) break;
      }
      const next = await t.model.generate('Once upon a time', { temperature: 0, maxTokens: 3 }).result;
      return { text, result: await stream.result, next };
    });
    assert.equal(result.finishReason, 'cancelled');
    assert.ok(result.text.startsWith(text) && result.tokens.length < 100);
    assert.equal(next.finishReason, 'length');
    assert.equal(next.tokens.length, 3);
  });

  test('is aborted while it answers, and answers on', async () => {
    const { seen, error, resultError, next } = await page.evaluate(async () => {
      const controller = new AbortController();
      const stream = t.model.generate('Once upon a time', { temperature: 0, maxTokens: 400, signal: controller.signal });
      let seen = 0;
      const error = await t.failure((async () => {
        for await (const _ of stream) if (++seen === 4) controller.abort();
      })());
      return { seen, error, resultError: await t.failure(stream.result), next: await t.model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text() };
    });
    assert.equal(seen, 4);
    assert.deepEqual([error.name, error.code, resultError.name], ['AbortError', 'aborted', 'AbortError']);
    assert.match(next, /4/);
  });

  test('is aborted while it reads the prompt, and answers on', async () => {
    const { error, progress, next, waited } = await page.evaluate(async () => {
      const controller = new AbortController();
      const progress = [];
      const stream = t.model.generate('The sea is blue and the sky is wide. '.repeat(150), {
        maxTokens: 1,
        reuseCache: false,
        signal: controller.signal,
        onPrefill: (event) => {
          progress.push(event);
          controller.abort();
        },
      });
      const error = await t.failure(stream.text());
      const from = performance.now();
      return { error, progress, next: await t.model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text(), waited: performance.now() - from };
    });
    assert.equal(error.name, 'AbortError');
    assert.ok(progress[0].done < progress[0].total, `aborted at ${JSON.stringify(progress)}`);
    assert.match(next, /4/);
    assert.ok(waited < 20_000, `the next answer took ${waited} ms`);
  });

  test('answers calls in the order in which they were made, and drops one that is aborted while it waits', async () => {
    const { order, error } = await page.evaluate(async () => {
      const order = [];
      const controller = new AbortController();
      const call = (name, options = {}) =>
        t.model.generate('Once upon a time', { temperature: 0, maxTokens: 4, ...options }).text().then(() => order.push(name));
      const first = call('first');
      const dropped = t.failure(call('dropped', { signal: controller.signal }));
      const third = call('third');
      controller.abort();
      const error = await dropped;
      await Promise.all([first, third]);
      return { order, error };
    });
    assert.equal(error.name, 'AbortError');
    assert.deepEqual(order, ['first', 'third']);
  });

  test('rejects with the reason of a signal that is not plain', async () => {
    const error = await page.evaluate(() => t.failure(t.model.generate('Once upon', { maxTokens: 300, signal: AbortSignal.timeout(30) }).text()));
    assert.equal(error.name, 'TimeoutError');
  });

  test('never blocks the page for 50 ms while it generates', async () => {
    const probe = () =>
      page.evaluate(async () => {
        let last = performance.now();
        let worst = 0;
        const timer = setInterval(() => {
          const now = performance.now();
          worst = Math.max(worst, now - last - 10);
          last = now;
        }, 10);
        await t.model.generate('Once upon a time', { temperature: 0, maxTokens: 24, reuseCache: false }).text();
        clearInterval(timer);
        return worst;
      });
    // A machine that is busy with other things may delay a timer by itself; what blocks the page does so every time.
    const delays = [];
    while (delays.length < 4 && (delays.length === 0 || Math.min(...delays) > 50)) delays.push(await probe());
    assert.ok(Math.min(...delays) <= 50, `the page's timers were late by up to ${delays.map(Math.round)} ms`);
  });

  test('ends at stop strings and token limits, and says so', async () => {
    const [stopped, limited] = await page.evaluate(async () => [
      await t.model.generate('1, 2, 3,', { temperature: 0, maxTokens: 30, stop: [' 6'] }).result,
      await t.model.generate('1, 2, 3,', { temperature: 0, maxTokens: 4 }).result,
    ]);
    assert.equal(stopped.finishReason, 'stop');
    assert.equal(stopped.text, ' 4, 5,');
    assert.equal(limited.finishReason, 'length');
  });

  test('says what is wrong with an option or a message', async () => {
    const errors = await page.evaluate(() =>
      Promise.all([
        t.failure(t.model.generate('x', { maxTokenz: 3 }).text()),
        t.failure(t.model.generate('x', { temperature: 'hot' }).text()),
        t.failure((async () => t.model.chat([{ role: 'user' }]).text())()),
        t.failure((async () => t.model.chat('hello').text())()),
        t.failure(t.model.generate('word '.repeat(9000), { maxTokens: 1 }).text()),
      ]),
    );
    for (const error of errors) assert.deepEqual([error.code, error.isVotive], ['input', true], JSON.stringify(error));
    assert.match(errors[0].message, /maxTokenz/);
    assert.match(errors[1].message, /temperature/);
  });

  test('answers in the shape of the OpenAI API', async () => {
    const { whole, chunks } = await page.evaluate(async () => {
      const request = { messages: t.ask('What is the capital of France?'), temperature: 0, max_tokens: 12 };
      const chunks = [];
      for await (const chunk of t.model.createChatCompletion({ ...request, stream: true })) chunks.push(chunk);
      return { whole: await t.model.createChatCompletion(request), chunks };
    });
    assert.equal(whole.object, 'chat.completion');
    assert.equal(whole.choices[0].message.content, 'The capital of France is Paris.');
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
    assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? '').join(''), whole.choices[0].message.content);
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  });

  test('tokenizes as the reference does', async () => {
    const { tokenizer_tests: cases } = golden('reference_story_F16.json');
    const results = await page.evaluate(
      (texts) => Promise.all(texts.map(async (text) => {
        const ids = await t.model.tokenize(text);
        return { ids: [...ids], back: await t.model.detokenize(ids), count: await t.model.countTokens(text) };
      })),
      cases.map(({ text }) => text),
    );
    cases.forEach(({ text, ids }, i) => assert.deepEqual(results[i], { ids, back: text, count: ids.length }));
    const prompt = await page.evaluate(() => t.model.applyChatTemplate([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hi' }]));
    assert.equal(prompt, '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });

  test('works beside another one, each in a Worker of its own', async () => {
    const { texts, interleaved } = await page.evaluate(async (url) => {
      const other = await votive.TextModel.load(url);
      const seen = [];
      const read = async (name, model) => {
        let text = '';
        for await (const part of model.generate('Once upon a time', { temperature: 0, maxTokens: 16, reuseCache: false })) {
          text += part;
          seen.push(name);
        }
        return text;
      };
      const texts = await Promise.all([read('a', t.model), read('b', other)]);
      other.dispose();
      return { texts, interleaved: seen.join('') };
    }, at.model);
    assert.equal(texts[0], texts[1]);
    assert.match(interleaved, /a+b+a+|b+a+b+/);
  });

  test('is gone when it was disposed of', async () => {
    const before = page.workers().length;
    const { pending, later } = await page.evaluate(async (url) => {
      const model = await votive.TextModel.load(url);
      const pending = t.failure(model.generate('Once upon a time', { maxTokens: 400 }).text());
      model.dispose();
      model.dispose();
      return { pending: await pending, later: await t.failure(model.generate('x').text()) };
    }, at.model);
    assert.deepEqual([pending.code, later.code], ['disposed', 'disposed']);
    for (let wait = 0; page.workers().length > before && wait < 50; wait++) await page.waitForTimeout(20);
    assert.equal(page.workers().length, before);
  });

  test('tells of an engine that crashes, and of one that cannot be started', async () => {
    const dist = path.join(ROOT, 'pkg-template/dist');
    const glue = fs.readFileSync(path.join(dist, 'votive_text_relaxed.js'), 'utf8');
    const trap = "setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); }); return new Promise(() => {});";
    const broken = glue.replace('step() {', `step() { ${trap}`);
    assert.notEqual(broken, glue, 'the glue has no step()');
    const site = await serve({ '/trap/': dist, '/gone/': dist }, { '/trap/votive_text_relaxed.js': broken, '/gone/worker.js': 'import "./no-such-file.mjs";' });
    try {
      const errors = await page.evaluate(async ({ base, url }) => {
        const load = async (name) => (await import(`${base}/${name}/index.js`)).TextModel.load(url);
        const model = await load('trap');
        return [await t.failure(model.generate('x').text()), await t.failure(model.tokenize('x')), await t.failure(load('gone'))];
      }, { base: site.base, url: at.model });
      for (const error of errors) assert.deepEqual([error.name, error.code], ['CrashError', 'crashed'], JSON.stringify(error));
    } finally {
      site.close();
    }
  });

  test('loads from bytes, Blobs and Files', async () => {
    const texts = await page.evaluate(async (url) => {
      const bytes = await (await fetch(url)).arrayBuffer();
      const texts = [];
      for (const source of [new Uint8Array(bytes), new Blob([bytes]), [new File([bytes], 'anything.gguf')]]) {
        const model = await votive.TextModel.load(source);
        texts.push(await model.generate('1, 2, 3,', { temperature: 0, maxTokens: 2 }).text());
        model.dispose();
      }
      return texts;
    }, at.model);
    for (const text of texts) assert.match(text, /4/);
  });

  test('has the tokens of the reference with F16 weights, and with safetensors', { timeout: 200_000 }, async () => {
    const cases = [
      [derived('smollm2-135m-instruct/SmolLM2-135M-Instruct.F16.gguf'), golden('reference_story_F16.json')],
      [`${derived('smollm2-135m-instruct-hf')}/model.safetensors`, golden('reference_story_hf.json')],
    ];
    for (const [file, reference] of cases) {
      const tokens = await page.evaluate(async ({ url, prompt }) => {
        const model = await votive.TextModel.load(url, { cache: false });
        const { tokens } = await model.generate(prompt, { temperature: 0, maxTokens: 64 }).result;
        model.dispose();
        return tokens;
      }, { url: `${at.site.base}/models/${file}`, prompt: reference.prompt_ids });
      assert.deepEqual(tokens, reference.greedy_ids, file);
    }
  });
});
