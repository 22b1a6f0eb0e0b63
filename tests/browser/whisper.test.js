// The speech page, as a person uses it: with files, and with a microphone that plays a recording.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setUp } from './harness.js';
import { JFK_PATH } from './sounds.js';

const MICROPHONE = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${JFK_PATH}%noloop`];
/** Milliseconds that a machine under load may take. */
const PATIENCE = { timeout: 120_000 };

describe('the speech page', { concurrency: 1 }, () => {
  let at;
  let page;
  const problems = [];
  before(async () => {
    at = await setUp({ flags: MICROPHONE });
    page = await at.browser.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (/^https?:/.test(request.url()) && !request.url().startsWith(at.site.base)) problems.push(`asked another site: ${request.url()}`);
    });
  });
  after(() => at?.close());

  const choose = (file) => page.locator('#file').setInputFiles(file);
  const finished = () => page.locator('#downloads').waitFor({ state: 'visible', ...PATIENCE });
  const text = async () => (await page.locator('#segments .text').allInnerTexts()).join(' ');
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.locator('#downloads').getByRole('button', { name, exact: true }).click()]);
    return { name: file.suggestedFilename(), content: fs.readFileSync(await file.path(), 'utf8') };
  };

  test('is reached from the index, and offers the model at hand', async () => {
    await page.goto(`${at.site.base}/`);
    await page.getByRole('link', { name: 'Speech to text' }).click();
    await page.waitForFunction(() => !document.getElementById('record').disabled);
    assert.match(await page.locator('#model option:checked').innerText(), /tiny\.en · 76 MB/);
    assert.ok(await page.locator('#language').isDisabled());
  });

  test('tells of a file that is no sound', async () => {
    const file = path.join(os.tmpdir(), `votive-${process.pid}.mp3`);
    fs.writeFileSync(file, 'this is no sound');
    await choose(file);
    await page.locator('#error').waitFor({ state: 'visible', ...PATIENCE });
    assert.match(await page.locator('#error-text').innerText(), /cannot decode/);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    fs.rmSync(file);
  });

  test('stops when it is told to', async () => {
    await choose(JFK_PATH);
    await page.waitForFunction(() => document.getElementById('work-title').textContent === 'Listening', undefined, PATIENCE);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.locator('#work').waitFor({ state: 'hidden' });
    assert.ok(await page.locator('#error').isHidden());
  });

  test('writes down a file', async () => {
    await choose(JFK_PATH);
    await finished();
    assert.match(await text(), /^And so my fellow Americans ask not what your country can do for you/);
    assert.match(await page.locator('#stats').innerText(), /0:11 in .* × real time/);
    assert.match(await page.locator('#status').innerText(), /ready/);
  });

  test('leads from words to sound, and back', async () => {
    await page.getByText('fellow', { exact: true }).click();
    const time = await page.evaluate(() => document.getElementById('audio').currentTime);
    assert.ok(time > 0.5 && time < 2, `${time}`);
    await page.locator('.now', { hasText: 'fellow' }).waitFor();
    await page.evaluate(() => (document.getElementById('audio').currentTime = 9.5));
    await page.locator('li:nth-child(2) .now').waitFor();
  });

  test('lets the text be edited, and gives it as files', async () => {
    await page.getByText('Americans', { exact: true }).dblclick();
    await page.keyboard.type('citizens');
    const srt = await download('SRT');
    assert.equal(srt.name, 'jfk.srt');
    assert.match(srt.content, /^1\n00:00:00,000 --> 00:00:08,\d+\nAnd so my fellow citizens ask not/);
    const vtt = await download('VTT');
    assert.match(vtt.content, /^WEBVTT\n\n00:00\.000 --> .*\nAnd<00:00\.\d+><c> so<\/c>.*citizens/);
    assert.match((await download('TXT')).content, /citizens/);
    const json = JSON.parse((await download('JSON')).content);
    assert.ok(json.text.includes('fellow citizens') && json.segments[0].words.length > 10 && json.language === 'en');
  });

  test('listens to the microphone while it is spoken', async () => {
    await page.getByRole('button', { name: 'Record' }).click();
    // The text comes while the recording goes on.
    await page.locator('#partial, #segments .text').filter({ hasText: /fellow/i }).first().waitFor({ state: 'visible', ...PATIENCE });
    await page.getByRole('button', { name: 'Stop recording' }).waitFor({ state: 'visible' });
    await page.locator('#partial, #segments .text').filter({ hasText: /do for your country/i }).first().waitFor({ state: 'visible', ...PATIENCE });
    await page.getByRole('button', { name: 'Stop recording' }).click();
    await finished();
    assert.match((await text()).toLowerCase().replace(/[^a-z ]/g, ''), /my fellow americans?.* ask not.* what your country can do for you.* ask what you can do for your country/);
    // What was recorded can be played.
    await page.waitForFunction(() => document.getElementById('audio').readyState > 0);
  });

  test('fits a phone, and has a name for each control', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, select, a, [contenteditable]')]
        .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.id === 'error-action'))
        .map((e) => e.outerHTML),
    );
    assert.deepEqual(nameless, []);
  });

  test('had no error and asked no other site', () => {
    assert.deepEqual(problems, []);
  });
});
