// The benchmark page: one model on every engine of this browser, in turn. It uses nothing but the published package.
import { TextModel, adapterInfo, availableEngines } from 'votive';
import { costs, markdown, median, PROSE, rows, SPEEDS } from './report.js';

const $ = (id) => document.getElementById(id);

/** What can be measured, as the options of loading say it. */
const ENGINES = [
  { id: 'webgpu', name: 'WebGPU', detail: 'the graphics processor', options: { device: 'webgpu' } },
  { id: 'threads', name: 'CPU, threads', detail: 'relaxed SIMD on several threads', options: { device: 'cpu', engine: 'threads' } },
  { id: 'relaxed', name: 'CPU, relaxed SIMD', detail: 'one thread', options: { device: 'cpu', engine: 'relaxed' } },
  { id: 'simd', name: 'CPU, SIMD', detail: 'one thread, what every browser has', options: { device: 'cpu', engine: 'simd' } },
];

let running; // AbortController of a measurement
const machine = []; // [name, value] of this browser
let results = [];

// ---- what can be chosen

async function listModels() {
  const add = (name, value) => $('model').append(new Option(name, value));
  try {
    const response = await fetch('../models/models.json');
    const models = response.ok ? await response.json() : [];
    for (const { name, url } of models) {
      if (/\.gguf$/i.test(url)) add(name, new URL(url, new URL('../models/', location.href)).href);
    }
  } catch (error) {
    console.warn('no list of models', error); // a static host without one: any address still works
  }
  add('Another model …', '');
  showCustom();
}

function showCustom() {
  $('custom').hidden = $('model').value !== '';
  $('source').required = !$('custom').hidden;
}
$('model').onchange = showCustom;

/** A list of engines, those that this browser lacks with the reason. */
async function listEngines() {
  const found = await availableEngines();
  for (const { id, name, detail } of ENGINES) {
    const missing = found[id];
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.name = 'engine';
    box.value = id;
    box.disabled = missing !== true;
    box.checked = missing === true;
    const small = document.createElement('small');
    small.textContent = missing === true ? detail : missing;
    label.append(box, name, small);
    $('engines').append(label);
  }
}

async function describeMachine() {
  const brands = navigator.userAgentData?.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand));
  machine.push(['Browser', brands?.map(({ brand, version }) => `${brand} ${version}`).join(', ') || navigator.userAgent]);
  machine.push(['Processors', String(navigator.hardwareConcurrency ?? 'not told')]);
  machine.push(['Isolated', crossOriginIsolated ? 'yes: threads can share memory' : 'no: one thread']);
  const adapter = await adapterInfo();
  machine.push(['GPU', adapter ? `${adapter.name}${adapter.software ? ' (emulated by the processor)' : ''}` : 'none through WebGPU']);
  if (adapter) {
    const has = { 'half precision': adapter.shaderF16, subgroups: adapter.subgroups, 'matrix units': adapter.matrices, timestamps: adapter.timestamps };
    machine.push(['GPU features', Object.keys(has).filter((name) => has[name]).join(', ') || 'none']);
  }
  fill($('machine'), machine);
}

function fill(list, pairs) {
  const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  list.replaceChildren(...pairs.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
}

// ---- measuring

/** Measures one engine; tells what goes on. */
async function measure(engine, source, { promptTokens, newTokens, runs }, signal, tell) {
  tell('loading');
  const begin = performance.now();
  const onProgress = ({ phase, loadedBytes, totalBytes }) => {
    if (phase === 'download' && totalBytes) tell(`downloading, ${Math.floor((100 * loadedBytes) / totalBytes)} %`);
  };
  const model = await TextModel.load(source, { ...engine.options, signal, onProgress });
  try {
    const readyMs = performance.now() - begin;
    const prompt = (await model.tokenize(PROSE)).slice(0, promptTokens);
    const options = { maxTokens: newTokens, ignoreEos: true, reuseCache: false, signal };
    const all = [];
    for (let run = 0; run <= runs; run++) {
      tell(run === 0 ? 'warming up' : `run ${run} of ${runs}`);
      const { stats } = await model.generate(prompt, options).result;
      if (run > 0) all.push(stats);
    }
    const speeds = Object.fromEntries(SPEEDS.map((name) => [name, median(all.map((stats) => stats[name]))]));
    const profile = engine.id === 'webgpu' ? await model.profile({ tokens: 8, signal }) : undefined;
    return { engine: engine.name, readyMs, ...speeds, profile, promptTokens: prompt.length };
  } finally {
    model.dispose();
  }
}

$('setup').onsubmit = async (event) => {
  event.preventDefault();
  const source = $('model').value || $('source').value.trim();
  const chosen = ENGINES.filter(({ id }) => document.querySelector(`[name=engine][value=${id}]`).checked);
  if (!chosen.length) return fail(new Error('Choose something to measure on.'));
  const numbers = { promptTokens: $('prompt-tokens').valueAsNumber, newTokens: $('new-tokens').valueAsNumber, runs: $('runs').valueAsNumber };
  const controller = new AbortController();
  running = controller;
  results = [];
  setRunning(true);
  try {
    for (const engine of chosen) {
      const tell = (what) => {
        $('status').textContent = `${engine.name}: ${what} …`;
      };
      results.push(await measure(engine, source, numbers, controller.signal, tell));
      show();
    }
    $('status').textContent = 'Done.';
  } catch (error) {
    $('status').textContent = error.name === 'AbortError' ? 'Stopped.' : '';
    fail(error);
  } finally {
    setRunning(false);
  }
};
$('stop').onclick = () => running?.abort();

function setRunning(isRunning) {
  $('start').disabled = isRunning;
  $('stop').hidden = !isRunning;
  if (isRunning) {
    $('error').hidden = true;
    $('results').hidden = true;
    $('stop').focus();
  }
}

function fail(error) {
  if (error.name === 'AbortError') return;
  console.error(error);
  $('error').textContent = error.message;
  $('error').hidden = false;
}

// ---- showing

function show() {
  $('results').hidden = false;
  const body = rows(results).map(({ cells, best }) => {
    const row = document.createElement('tr');
    cells.forEach((text, i) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (results.length > 1 && best[i]) cell.className = 'best';
    });
    return row;
  });
  $('table').tBodies[0].replaceChildren(...body);
  const profile = results.find((result) => result.profile)?.profile;
  $('profile').hidden = !profile;
  if (profile) fill($('costs'), costs(profile));
}

$('copy').onclick = async () => {
  const name = $('model').value ? $('model').selectedOptions[0].text : $('source').value.trim();
  const text = markdown({ model: name, machine, results });
  try {
    await navigator.clipboard.writeText(text);
    $('status').textContent = 'Copied.';
  } catch {
    prompt('Copy the table:', text); // no permission for the clipboard
  }
};

await Promise.all([listModels(), listEngines(), describeMachine()]).catch(fail);
$('start').disabled = false;
