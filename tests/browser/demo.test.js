// The demo pages, as a person uses them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setUp } from './harness.js';
import { MODEL_PATH } from './server.js';

describe('the chat page', { concurrency: 1 }, () => {
  let at;
  let page;
  const problems = [];
  before(async () => {
    at = await setUp();
    page = await at.browser.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (/^https?:/.test(request.url()) && !request.url().startsWith(at.site.base)) problems.push(`asked another site: ${request.url()}`);
    });
  });
  after(() => at?.close());

  const shown = (selector) => page.locator(selector).waitFor({ state: 'visible', timeout: 60_000 });
  const answered = async () => {
    await page.locator('.message.assistant:last-child .actions').waitFor({ timeout: 60_000 });
    return page.locator('.message.assistant:last-child .text').innerText();
  };
  const set = async (values) => {
    await page.getByRole('button', { name: 'Settings' }).click();
    for (const [name, value] of Object.entries(values)) await page.locator(`#settings [name=${name}]`).fill(String(value));
    await page.getByRole('button', { name: 'Done' }).click();
  };

  test('is reached from the index', async () => {
    await page.goto(`${at.site.base}/`);
    await page.getByRole('link', { name: 'Chat with a model' }).click();
    await page.getByRole('button', { name: /SmolLM2/ }).waitFor(); // the page's script has run
  });

  test('tells of a model that is not there, and goes on', async () => {
    await page.getByLabel(/Hugging Face/).fill(`${at.site.base}/nothing.gguf`);
    await page.keyboard.press('Enter');
    await shown('#error');
    assert.match(await page.locator('#error-text').innerText(), /404/);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await shown('#picker');
  });

  test('tells of a file that is no model', async () => {
    const file = path.join(os.tmpdir(), `votive-${process.pid}.gguf`);
    fs.writeFileSync(file, 'this is no model');
    await page.locator('#file').setInputFiles(file);
    await shown('#error');
    assert.match(await page.locator('#error-text').innerText(), /gguf/i);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    fs.rmSync(file);
  });

  test('tells of the GPU, and refuses to compute on one that is not there', async () => {
    const compute = async (device) => {
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByLabel('Computes on').selectOption(device);
      const told = await page.locator('#adapter').innerText();
      await page.getByRole('button', { name: 'Done' }).click();
      return told;
    };
    assert.match(await compute('webgpu'), /No GPU that WebGPU can use was found/);
    await page.getByRole('button', { name: /SmolLM2/ }).click();
    await shown('#error');
    assert.match(await page.locator('#error-text').innerText(), /device 'webgpu' cannot be used/);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await compute('auto');
  });

  test('loads the model at hand with progress, and can be cancelled', async () => {
    at.site.faults.bytesPerSecond = 60e6;
    await page.getByRole('button', { name: /SmolLM2/ }).click();
    await page.waitForFunction(() => /\d+ MB of 98 MB/.test(document.getElementById('loading-detail').textContent));
    await page.getByRole('button', { name: 'Cancel' }).click();
    await shown('#picker');
    at.site.faults.bytesPerSecond = undefined;
    await page.getByRole('button', { name: /SmolLM2/ }).click();
    await shown('#prompt');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'prompt');
  });

  test('answers by keyboard alone, and tells how fast', async () => {
    await set({ system: 'Be brief.', temperature: 0, repetitionPenalty: 1, maxTokens: 40 });
    await page.locator('#prompt').focus();
    await page.keyboard.type('What is the capital of France?');
    await page.keyboard.press('Enter');
    assert.equal(await answered(), 'The capital of France is Paris.');
    assert.match(await page.locator('#stats').innerText(), /tokens\/s.* on the processor/s);
    assert.match(await page.locator('#adapter').textContent(), /computes on the processor: .+/);
    assert.match(await page.locator('#status').innerText(), /Paris/);
  });

  test('stops when it is told to, and answers on', async () => {
    await set({ maxTokens: 500 });
    await page.locator('#prompt').fill('Write a long story about the sea.');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.waitForFunction(() => (document.querySelector('.message.assistant:last-child .text')?.textContent.length ?? 0) > 20);
    await page.getByRole('button', { name: 'Stop' }).click();
    await answered();
    assert.match(await page.locator('.message.assistant:last-child .note').innerText(), /stopped/);
    await set({ maxTokens: 8 });
    await page.locator('#prompt').fill('Say hello.');
    await page.keyboard.press('Enter');
    assert.ok((await answered()).length > 0);
  });

  test('begins anew', async () => {
    await page.getByRole('button', { name: 'New chat' }).click();
    assert.equal(await page.locator('.message').count(), 0);
  });

  test('runs nothing that is in a message', async () => {
    await page.locator('#prompt').fill('<img src=x onerror="document.title = 1"> Repeat: <b>bold</b>');
    await page.keyboard.press('Enter');
    await answered();
    assert.equal(await page.locator('#messages img, #messages b').count(), 0);
  });

  test('fits a phone, and has a name for each control', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const url of [page.url(), `${at.site.base}/`, `${at.site.base}/chat/`]) {
      if (url !== page.url()) await page.goto(url);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${url} is ${width} pixels wide`);
    }
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, textarea, a')]
        .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.id === 'error-action'))
        .map((e) => e.outerHTML),
    );
    assert.deepEqual(nameless, []);
  });

  test('had no error and asked no other site', () => {
    assert.deepEqual(problems, []);
  });
});
