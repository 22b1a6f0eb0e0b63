// node run.mjs --votive DIST --model FOLDER --audio FILE.wav [--onnx FOLDER] [--ggml FILE.bin] [--runs 5] [--out FILE]
// Speech to text in Chromium, one thread each: the first transcription after loading, then more in turn with the other
// engines. Prints a Markdown table of real-time factors (seconds of work for a second of sound; smaller is faster).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { cpuMilliseconds, peakMegabytes, renderers } from '../browser/process.mjs';
import { serve } from '../browser/server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    votive: { type: 'string' },
    model: { type: 'string' },
    audio: { type: 'string' },
    onnx: { type: 'string' },
    ggml: { type: 'string' },
    runs: { type: 'string', default: '5' },
    out: { type: 'string' },
  },
});
if (!options.votive || !options.model || !options.audio) {
  console.error('usage: node run.mjs --votive DIST --model FOLDER --audio FILE.wav [--onnx FOLDER] [--ggml FILE.bin] [--runs N]');
  process.exit(2);
}
const runs = Number(options.runs);
const runners = ['votive', ...(options.onnx ? ['transformers'] : []), ...(options.ggml ? ['whispercpp'] : [])];

const mounts = {
  '/pages/': path.join(here, 'pages'),
  '/modules/': path.join(here, 'node_modules'),
  '/votive/': path.resolve(options.votive),
  '/model/': path.resolve(options.model),
  '/audio/': path.dirname(path.resolve(options.audio)),
  ...(options.onnx ? { '/onnx/': path.resolve(options.onnx) } : {}),
  ...(options.ggml ? { '/ggml/': path.dirname(path.resolve(options.ggml)) } : {}),
};
const plain = await serve(mounts);
// whisper.cpp's build has threads, and so needs a page that is cross-origin isolated, even for one.
const isolated = await serve(mounts, { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' });

const launched = await chromium.launchServer({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: false, // --headless=new below
  args: ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding'],
});
const browser = await chromium.connect(launched.wsEndpoint());
const root = launched.process().pid;
const cpu = () => cpuMilliseconds(renderers(root));

/** One transcription: wall and CPU seconds, the longest time in which the page could do nothing else, and the text. */
const measure = (page) =>
  page.evaluate(async () => {
    let [longest, last] = [0, performance.now()];
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last - 10);
      last = now;
    }, 10);
    const before = await self.cpu();
    const start = performance.now();
    const text = await self.engine.transcribe();
    const wall = (performance.now() - start) / 1000;
    const used = ((await self.cpu()) - before) / 1000;
    longest = Math.max(longest, performance.now() - last - 10);
    clearInterval(timer);
    return { wall, cpu: used, longest, text };
  });

const engines = {};
for (const runner of runners) {
  const { base } = runner === 'whispercpp' ? isolated : plain;
  const page = await (await browser.newContext()).newPage();
  page.on('pageerror', (error) => console.error(`[${runner}] ${error.message}`));
  await page.exposeFunction('cpu', cpu); // one engine works at a time: all renderers together are its own
  await page.goto(`${base}/pages/page.html`);
  const known = new Map(renderers(root).map((pid) => [pid, peakMegabytes([pid])]));
  const urls = { base, model: `${base}/model/model.safetensors`, onnx: `${base}/onnx/`, ggml: `${base}/ggml/${path.basename(options.ggml ?? '')}`, audio: `${base}/audio/${path.basename(options.audio)}` };
  const seconds = await page.evaluate(async ([runner, urls]) => {
    const { load } = await import(`/pages/${runner}.mjs`);
    const start = performance.now();
    const { transcribe, seconds } = await load(urls);
    self.engine = { transcribe };
    self.loadMs = performance.now() - start;
    return seconds;
  }, [runner, urls]);
  const first = await measure(page);
  const grown = renderers(root).map((pid) => [pid, peakMegabytes([pid]) - (known.get(pid) ?? 0)]).sort((a, b) => b[1] - a[1])[0][0];
  engines[runner] = { page, seconds, first, own: [grown], rounds: [], loadMs: await page.evaluate(() => self.loadMs) };
  console.error(`${runner}: loaded in ${(engines[runner].loadMs / 1000).toFixed(1)} s, first run ${first.wall.toFixed(1)} s (CPU ${first.cpu.toFixed(1)} s):${first.text}`);
}
for (let round = 0; round < runs; round++) {
  for (const runner of runners) {
    const sample = await measure(engines[runner].page);
    engines[runner].rounds.push(sample);
    console.error(`${round + 1}/${runs} ${runner}: ${sample.wall.toFixed(2)} s (CPU ${sample.cpu.toFixed(2)} s)`);
  }
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const results = runners.map((runner) => {
  const { seconds, first, rounds, own, loadMs } = engines[runner];
  const warm = (key) => median(rounds.map((round) => round[key])) / seconds;
  return {
    runner,
    loadMs,
    first: first.wall / seconds,
    firstCpu: first.cpu / seconds,
    warm: warm('wall'),
    warmCpu: warm('cpu'),
    longestMs: Math.max(first.longest, ...rounds.map((round) => round.longest)),
    peakMegabytes: peakMegabytes(own),
    text: first.text,
    rounds,
  };
});
const version = browser.version();
await browser.close();
await launched.close();
plain.close();
isolated.close();

console.log(`Chromium ${version}, one thread each, ${path.basename(options.audio)}, medians of ${runs} runs in turn; ${os.cpus()[0].model}; load average ${os.loadavg()[0].toFixed(1)}\n`);
console.log('| engine | real-time factor: first run | warm | CPU s for a second: first | warm | Votive is faster by (wall first, warm; CPU first, warm) | load s | peak MB | page blocked for ms |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const r of results) {
  const [ours] = results;
  const by = (key) => `${(r[key] / ours[key]).toFixed(2)} ×`;
  const ratio = r === ours ? '' : `${by('first')}, ${by('warm')}; ${by('firstCpu')}, ${by('warmCpu')}`;
  const numbers = [r.first, r.warm, r.firstCpu, r.warmCpu].map((value) => value.toFixed(3)).join(' | ');
  console.log(`| ${r.runner} | ${numbers} | ${ratio} | ${(r.loadMs / 1000).toFixed(1)} | ${r.peakMegabytes.toFixed(0)} | ${r.longestMs.toFixed(0)} |`);
}
if (options.out) fs.writeFileSync(options.out, JSON.stringify({ runs, cpu: os.cpus()[0].model, chromium: version, results }, null, 1));
