// node run.mjs --votive DIR --models A.gguf,B.gguf [--candle DIR] [--onnx DIR] [--peers NAME,…] [--threads 1] [--runs 5] [--prompt 128] [--tokens 64] [--out FILE]
// Runs Votive and its peers in turn, in one Chromium, on the same files with the same token ids; prints a Markdown table of
// medians and ratios. As many threads each (candle has one always). `per CPU s` counts the CPU time of the engine's renderer process instead of wall time.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { cpuMilliseconds, peakMegabytes, renderers } from './process.mjs';
import { PROSE } from './prose.mjs';
import { serve } from './server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    votive: { type: 'string' },
    models: { type: 'string' },
    candle: { type: 'string' },
    onnx: { type: 'string' },
    peers: { type: 'string', default: '' },
    threads: { type: 'string', default: '1' },
    runs: { type: 'string', default: '5' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '64' },
    out: { type: 'string' },
  },
});
const models = (options.models ?? '').split(',').filter(Boolean).map((m) => path.resolve(m));
if (!options.votive || models.length === 0) {
  console.error('usage: node run.mjs --votive DIST --models A.gguf[,B.gguf …] [--candle DIR] [--onnx DIR] [--peers NAME,…] [--runs N]');
  process.exit(2);
}
const [runs, promptTokens, tokens, threads] = [options.runs, options.prompt, options.tokens, options.threads].map(Number);
// Shared memory is for pages that are isolated only.
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
// Peers are pages of that name; candle is compiled before, and has its module's folder.
const runners = ['votive', ...options.peers.split(',').filter(Boolean), ...(options.candle ? ['candle'] : []),
  ...(options.onnx ? ['transformers', 'transformers-q8'] : [])];

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const launched = await chromium.launchServer({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: false, // --headless=new below
  args: ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding'],
});
const browser = await chromium.connect(launched.wsEndpoint());
const root = launched.process().pid;

/** One page, in a renderer process of its own, with one runner and one model. */
async function open(base, runner, file) {
  const page = await (await browser.newContext()).newPage();
  page.on('pageerror', (error) => console.error(`[${runner}] ${error.message}`));
  // One engine works at a time: the renderers' CPU time together is its own.
  await page.exposeFunction('cpu', () => cpuMilliseconds(renderers(root)));
  await page.goto(`${base}/pages/page.html`);
  const before = new Map(renderers(root).map((pid) => [pid, peakMegabytes([pid])]));
  const loadMs = await page.evaluate(async ([runner, url, threads]) => {
    const start = performance.now();
    self.engine = await (await import(`/pages/${runner}.mjs`)).load(url, threads);
    return performance.now() - start;
  }, [runner, `${base}/model/${encodeURIComponent(path.basename(file))}`, threads]);
  // The renderer that holds the model is the one whose peak has grown most.
  const grown = renderers(root).map((pid) => [pid, peakMegabytes([pid]) - (before.get(pid) ?? 0)]);
  const own = [grown.sort((a, b) => b[1] - a[1])[0][0]];
  return { page, own, loadMs, loadPeakMegabytes: peakMegabytes(own) };
}

/** One measurement: wall and CPU milliseconds of a prefill and of a decode, and the longest stall of the page. */
const measure = (page, ids, texts, count) =>
  page.evaluate(async ([ids, texts, count]) => {
    const engine = self.engine;
    let stall = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      stall = Math.max(stall, now - last - 10);
      last = now;
    }, 10);
    const cpu0 = await self.cpu();
    const prefill = await engine.prefill(ids, texts[0]);
    const prefillCpu = (await self.cpu()) - cpu0;
    let startedAt;
    const decode = await engine.decode(ids.slice(0, 16), count, () => { startedAt = self.cpu(); }, texts[1]);
    const decodeCpu = (await self.cpu()) - (await startedAt);
    clearInterval(timer);
    return { prefill, prefillCpu, decode, decodeCpu, stall };
  }, [ids, texts, count]);

const results = [];
for (const file of models) {
  const server = await serve({
    '/pages/': path.join(here, 'pages'),
    '/modules/': path.join(here, 'node_modules'),
    '/votive/': path.resolve(options.votive),
    '/model/': path.dirname(file),
    ...(options.candle ? { '/candle/': path.resolve(options.candle) } : {}),
    ...(options.onnx ? { '/onnx/': path.resolve(options.onnx) } : {}),
  }, threads > 1 ? ISOLATED : {});
  const engines = {};
  for (const runner of runners) {
    console.error(`${path.basename(file)}: loading ${runner}`);
    engines[runner] = { ...(await open(server.base, runner, file)), rounds: [] };
  }
  // A long prompt is the same text several times.
  const text = Array(Math.ceil(promptTokens / 300)).fill(PROSE).join('\n');
  const all = await engines.votive.page.evaluate(async (text) => Array.from(await self.engine.tokenize(text)), text);
  const ids = all.slice(0, promptTokens);
  if (ids.length < promptTokens) throw new Error(`the prompt has only ${ids.length} tokens`);
  // For engines that take no ids: the same prompts as texts.
  const texts = await engines.votive.page.evaluate(
    (prompts) => Promise.all(prompts.map((ids) => self.engine.detokenize(ids))), [ids, ids.slice(0, 16)]);
  for (let round = -1; round < runs; round++) {
    for (const runner of runners) {
      const sample = await measure(engines[runner].page, ids, texts, round < 0 ? 8 : tokens);
      if (round >= 0) engines[runner].rounds.push(sample); // the first round warms up
      console.error(`${path.basename(file)} ${round + 1}/${runs} ${runner}: prefill ${sample.prefill.toFixed(0)} ms, decode ${sample.decode.toFixed(0)} ms`);
    }
  }
  for (const runner of runners) {
    const { rounds, own, loadMs, loadPeakMegabytes, page } = engines[runner];
    const rate = (count, key) => (1000 * count) / median(rounds.map((r) => r[key]));
    results.push({
      model: path.basename(file),
      runner,
      fileMegabytes: fs.statSync(file).size / 1e6,
      loadMs,
      loadPeakMegabytes,
      peakMegabytes: peakMegabytes(own),
      prefill: rate(promptTokens, 'prefill'),
      prefillPerCpuSecond: rate(promptTokens, 'prefillCpu'),
      decode: rate(tokens, 'decode'),
      decodePerCpuSecond: rate(tokens, 'decodeCpu'),
      longestStallMs: Math.max(...rounds.map((r) => r.stall)),
      rounds,
    });
    await page.context().close();
  }
  server.close();
}
const version = browser.version();
await browser.close();
await launched.close();

const number = (value) => value.toFixed(value < 10 ? 2 : 1);
console.log(`Chromium ${version}, ${threads === 1 ? 'one thread' : `${threads} threads`} each, medians of ${runs} interleaved runs; ${os.cpus()[0].model}; load average ${os.loadavg()[0].toFixed(1)}\n`);
console.log(`| model | engine | prefill ${promptTokens} tok/s | decode ${tokens} tok/s | prefill per CPU s | decode per CPU s | Votive's ratio (prefill, decode; per CPU s) | load s | peak MB (loading, all) | longest stall ms |`);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const r of results) {
  const ours = results.find((o) => o.model === r.model && o.runner === 'votive');
  const ratio = r.runner === 'votive' ? '' : [
    `${(ours.prefill / r.prefill).toFixed(2)} ×, ${(ours.decode / r.decode).toFixed(2)} ×`,
    `${(ours.prefillPerCpuSecond / r.prefillPerCpuSecond).toFixed(2)} ×, ${(ours.decodePerCpuSecond / r.decodePerCpuSecond).toFixed(2)} ×`,
  ].join('; ');
  console.log(`| ${r.model} | ${r.runner} | ${number(r.prefill)} | ${number(r.decode)} | ${number(r.prefillPerCpuSecond)} | ${number(r.decodePerCpuSecond)} | ${ratio} | ${(r.loadMs / 1000).toFixed(1)} | ${r.loadPeakMegabytes.toFixed(0)}, ${r.peakMegabytes.toFixed(0)} | ${r.longestStallMs.toFixed(0)} |`);
}
if (options.out) fs.writeFileSync(options.out, JSON.stringify({ runs, threads, promptTokens, tokens, cpu: os.cpus()[0].model, chromium: version, results }, null, 1));
