// The chat page: choose a model, watch it load, talk to it. It uses nothing but the published package.
import { TextModel, adapterInfo, clearCache } from 'votive';
import { render } from './markdown.js';
import { connectSettings } from './settings.js';

const $ = (id) => document.getElementById(id);
const SUGGESTIONS = ['What is the capital of France?', 'Write a haiku about the sea.', 'Explain photosynthesis to a child.'];

/** The loaded model, the talk so far, and what is going on. */
let model;
let messages = [];
let loading; // AbortController of a load
let answering; // AbortController of an answer
let lastSource;

const settings = connectSettings($('settings'));

// ---- what is shown

function setState(state) {
  document.body.dataset.state = state;
  $('picker').hidden = state !== 'pick';
  $('loading').hidden = state !== 'load';
  for (const id of ['conversation', 'composer-area', 'new-chat', 'change-model']) $(id).hidden = state !== 'chat';
  if (state !== 'chat') $('model-name').textContent = '';
}

const announce = (text) => {
  $('status').textContent = text;
};

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Shows an error with a way on. */
function fail(error, action) {
  if (error?.name === 'AbortError') return;
  console.error(error);
  const hints = {
    network: 'Check the connection; what has arrived is kept.',
    'not-found': 'Check the name: it is owner/name as on the hub.',
    unauthorized: 'This model asks for a licence or a login on the hub.',
    'out-of-memory': 'Try a smaller model or a smaller quantization, and close other tabs.',
    storage: 'Free some space, or delete downloaded models in the settings.',
    crashed: 'The engine stopped; load the model again.',
    'device-lost': 'The GPU was reset; the model can be loaded again from this browser.',
    device: 'Load the model again, or on the processor (see the settings).',
  };
  const hint = hints[error?.code];
  $('error-text').textContent = [error?.message ?? String(error), hint].filter(Boolean).join(' ');
  $('error-action').hidden = !action;
  if (action) {
    $('error-action').textContent = action.label;
    $('error-action').onclick = () => {
      $('error').hidden = true;
      action.run();
    };
  }
  $('error').hidden = false;
  $('error').scrollIntoView({ block: 'nearest' });
}
$('error-close').onclick = () => {
  $('error').hidden = true;
};

// ---- choosing and loading

async function listModels() {
  try {
    const response = await fetch('../models/models.json');
    if (!response.ok) return;
    for (const { name, url, bytes, licence } of await response.json()) {
      if (!/\.gguf$/i.test(url)) continue; // other models have pages of their own
      const button = document.createElement('button');
      const title = document.createElement('strong');
      title.textContent = name;
      const detail = document.createElement('span');
      detail.className = 'soft numbers';
      detail.textContent = [megabytes(bytes), licence].filter(Boolean).join(' · ');
      button.append(title, detail);
      button.onclick = () => load(new URL(url, new URL('../models/', location.href)).href, name);
      $('models').append(button);
    }
  } catch (error) {
    console.warn('no list of models', error); // a static host without one: ids and files still work
  }
}

function showProgress({ phase, file, loadedBytes, totalBytes, fromCache }) {
  const titles = { resolve: 'Looking for the model', download: fromCache ? 'Reading from this browser' : 'Downloading', load: 'Preparing', ready: 'Ready' };
  $('loading-title').textContent = titles[phase] ?? 'Loading';
  $('loading-file').textContent = phase === 'load' ? '' : file;
  const bar = $('progress');
  if (totalBytes) {
    bar.value = loadedBytes / totalBytes;
    $('loading-detail').textContent = `${megabytes(loadedBytes)} of ${megabytes(totalBytes)} (${Math.floor((100 * loadedBytes) / totalBytes)} %)`;
  } else {
    bar.removeAttribute('value');
    $('loading-detail').textContent = loadedBytes ? megabytes(loadedBytes) : '';
  }
}

async function load(source, name) {
  lastSource = { source, name };
  $('error').hidden = true;
  loading?.abort();
  const controller = new AbortController();
  loading = controller;
  model?.dispose();
  model = undefined;
  setState('load');
  showProgress({ phase: 'resolve', file: name, loadedBytes: 0, totalBytes: 0 });
  announce(`Loading ${name}`);
  $('cancel-load').focus();
  try {
    const loaded = await TextModel.load(source, { device: settings().device, signal: controller.signal, onProgress: showProgress });
    if (loading !== controller) return loaded.dispose(); // another load has begun
    model = loaded;
    messages = [];
    $('messages').replaceChildren();
    setState('chat');
    $('welcome').hidden = false;
    $('model-name').textContent = name;
    showDevice();
    $('stats').textContent = 'Enter sends, Shift + Enter makes a new line.';
    announce(`${name} is ready`);
    $('prompt').focus();
    if (!model.info.hasChatTemplate) fail(new Error('This model has no chat template: it continues your text instead of answering.'));
  } catch (error) {
    if (loading !== controller) return;
    setState('pick');
    fail(error, { label: 'Try again', run: () => load(source, name) });
    showDevice();
    announce('The model was not loaded');
  } finally {
    if (loading === controller) loading = undefined;
  }
}

$('cancel-load').onclick = () => loading?.abort();
$('hub-form').onsubmit = (event) => {
  event.preventDefault();
  const id = $('hub-id').value.trim();
  if (id) load(id, id.split('/').slice(-2).join('/'));
};
$('hub-form').querySelector('button').disabled = false; // before this script ran, it would have left the page
const loadFiles = (files) => files.length && load([...files], files[0].name);
$('file').onchange = (event) => loadFiles(event.target.files);
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dragging');
});
addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dragging');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dragging');
  if (!answering) loadFiles(event.dataTransfer.files);
});
$('change-model').onclick = () => {
  answering?.abort();
  model?.dispose();
  model = undefined;
  setState('pick');
  $('models').querySelector('button')?.focus();
};

// ---- talking

function addMessage(role, text = '') {
  const item = document.createElement('li');
  item.className = `message ${role}`;
  const who = document.createElement('h2');
  who.className = 'visually-hidden';
  who.textContent = role === 'user' ? 'You' : 'Model';
  const body = document.createElement('div');
  body.className = 'text';
  body.textContent = text;
  item.append(who, body);
  $('messages').append(item);
  return item;
}

const atBottom = () => {
  const main = document.querySelector('main');
  return main.scrollHeight - main.scrollTop - main.clientHeight < 80;
};
const toBottom = () => {
  const main = document.querySelector('main');
  main.scrollTop = main.scrollHeight;
};

/** A button under an answer. */
function actionButton(label, run) {
  const button = document.createElement('button');
  button.className = 'quiet';
  button.textContent = label;
  button.onclick = () => run(button);
  return button;
}

/** Streams an answer to the talk so far. */
async function answer() {
  $('error').hidden = true;
  const controller = new AbortController();
  answering = controller;
  $('send').hidden = true;
  $('stop').hidden = false;
  const item = addMessage('assistant');
  const body = item.querySelector('.text');
  item.setAttribute('aria-busy', 'true');
  toBottom();
  let text = '';
  let drawn = '';
  let tokens = 0;
  let since = 0;
  // Drawn once a frame at most, however fast the text comes.
  const draw = () => {
    if (text === drawn) return;
    const follow = atBottom();
    body.replaceChildren(render(text));
    drawn = text;
    if (follow) toBottom();
  };
  let frame = requestAnimationFrame(function tick() {
    draw();
    frame = requestAnimationFrame(tick);
  });
  let note = '';
  try {
    const { system, options } = settings();
    const talk = system ? [{ role: 'system', content: system }, ...messages] : messages;
    const all = {
      ...options,
      signal: controller.signal,
      onPrefill: ({ done, total }) => {
        $('stats').textContent = `Reading: ${done} of ${total} tokens`;
      },
    };
    const stream = model.info.hasChatTemplate ? model.chat(talk, all) : model.generate(messages.at(-1).content, all);
    stream.result.catch(() => {}); // the loop below reports it
    for await (const piece of stream) {
      text += piece;
      tokens += 1;
      since ||= performance.now();
      const seconds = (performance.now() - since) / 1000;
      if (seconds > 0.5) $('stats').textContent = `${((tokens - 1) / seconds).toFixed(1)} tokens/s`;
    }
    const { stats, finishReason } = await stream.result;
    note = finishReason === 'length' ? 'cut off: more tokens are allowed in the settings' : '';
    $('stats').textContent = [
      `${stats.decodeTokensPerSecond.toFixed(1)} tokens/s`,
      `${stats.generatedTokens} tokens`,
      `first after ${(stats.timeToFirstTokenMs / 1000).toFixed(2)} s`,
      `${stats.promptTokens - stats.cachedTokens} of ${stats.promptTokens} prompt tokens read`,
      megabytes(stats.memoryBytes),
      model?.device === 'webgpu' ? 'on the GPU' : 'on the processor',
    ].join(' · ');
  } catch (error) {
    if (error?.name === 'AbortError') note = 'stopped';
    else fail(error, ['crashed', 'device', 'device-lost'].includes(error?.code) ? { label: 'Load again', run: () => load(lastSource.source, lastSource.name) } : undefined);
  } finally {
    cancelAnimationFrame(frame);
    draw();
    item.removeAttribute('aria-busy');
    answering = undefined;
    $('send').hidden = false;
    $('stop').hidden = true;
  }
  if (!item.isConnected) return; // a new chat was begun
  messages.push({ role: 'assistant', content: text });
  document.querySelectorAll('.message .retry').forEach((button) => button.remove());
  const retry = actionButton('Try again', () => {
    if (answering) return;
    messages.pop();
    item.remove();
    answer();
  });
  retry.classList.add('retry');
  const actions = document.createElement('div');
  actions.className = 'actions';
  actions.append(
    actionButton('Copy', async (button) => {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = 'Copy'), 1500);
    }),
    retry,
  );
  if (note) {
    const span = document.createElement('span');
    span.className = 'note';
    span.textContent = note;
    actions.append(span);
  }
  item.append(actions);
  if (atBottom()) toBottom();
  announce(`Answer: ${text}`);
}

function send(text) {
  if (answering || !model || !text.trim()) return;
  $('welcome').hidden = true;
  messages.push({ role: 'user', content: text });
  addMessage('user', text);
  answer();
}

const fit = () => {
  $('prompt').style.height = 'auto';
  $('prompt').style.height = `${$('prompt').scrollHeight + 2}px`;
};
$('prompt').oninput = fit;
$('prompt').onkeydown = (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  }
};
$('composer').onsubmit = (event) => {
  event.preventDefault();
  if (answering) return;
  send($('prompt').value);
  $('prompt').value = '';
  fit();
};
$('stop').onclick = () => {
  answering?.abort();
  $('prompt').focus();
};
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && answering && !$('settings').open) answering.abort();
});
$('new-chat').onclick = () => {
  answering?.abort();
  messages = [];
  $('messages').replaceChildren();
  $('welcome').hidden = false;
  $('prompt').focus();
};

// ---- settings

/** What the settings say of the GPU, and of where the model computes. */
async function showDevice() {
  const adapter = await adapterInfo();
  const gpu = adapter ? `GPU: ${adapter.name}${adapter.software ? ' (an emulation on the processor)' : ''}.` : 'No GPU that WebGPU can use was found.';
  const engine = model?.info.engine;
  const where = engine?.device === 'webgpu' ? 'the GPU' : 'the processor';
  $('adapter').textContent = engine ? `${gpu} This model computes on ${where}: ${engine.deviceReason}.` : `${gpu} A choice holds from the next model on.`;
  $('model-name').title = engine ? `on ${where}` : '';
}

$('open-settings').onclick = () => $('settings').showModal();
$('clear-cache').onclick = async (event) => {
  await clearCache();
  event.target.textContent = 'Deleted';
  setTimeout(() => (event.target.textContent = 'Delete downloaded models'), 1500);
};

for (const text of SUGGESTIONS) {
  const button = document.createElement('button');
  button.textContent = text;
  button.onclick = () => send(text);
  $('suggestions').append(button);
}

await Promise.all([listModels(), showDevice()]);
const wanted = new URLSearchParams(location.search).get('model');
if (wanted) load(wanted, wanted.split('/').slice(-2).join('/'));
