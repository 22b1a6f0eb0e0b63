// The speech page: choose a model, give it sound, read and edit what was said. It uses nothing but the published package.
import { toSRT, toText, toVTT, Transcriber } from 'votive';
import { connectTranscript } from './transcript.js';
import { connectWave } from './wave.js';

const $ = (id) => document.getElementById(id);
/** Models of the hub that are offered, with the bytes of their weights. */
const HUB = [
  ['openai/whisper-tiny.en', 151e6],
  ['openai/whisper-tiny', 151e6],
  ['openai/whisper-base.en', 290e6],
  ['openai/whisper-base', 290e6],
  ['distil-whisper/distil-small.en', 332e6],
  ['openai/whisper-small', 967e6],
  ['openai/whisper-large-v3-turbo', 1618e6],
];
const LANGUAGES =
  'en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue';
const OTHER = 'other';

let transcriber;
let loadedAs; // the settings that the loaded model was loaded with
let running; // { abort, end } of what goes on: AbortControllers
let result; // of the transcript that is shown
let name = 'transcript';
let playable; // object URL of the sound that is shown

const audio = $('audio');
const wave = connectWave($('wave'), (seconds) => seek(seconds, false));
const transcript = connectTranscript($('segments'), (seconds, play) => seek(seconds, play));

const announce = (text) => {
  $('status').textContent = text;
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

// ---- errors

/** Shows an error with a way on. */
function fail(error, action) {
  if (error?.name === 'AbortError') return;
  console.error(error);
  const hints = {
    network: 'Check the connection; what has arrived is kept.',
    'not-found': 'Check the name or address.',
    'out-of-memory': 'Try a smaller model, and close other tabs.',
    crashed: 'The engine stopped; try again.',
  };
  $('error-text').textContent = [error?.message ?? String(error), hints[error?.code]].filter(Boolean).join(' ');
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

// ---- settings

async function listModels() {
  const option = (label, value) => Object.assign(document.createElement('option'), { textContent: label, value });
  try {
    const response = await fetch('../models/models.json');
    const models = response.ok ? await response.json() : [];
    const near = models.filter(({ id }) => /whisper/.test(id));
    for (const { name, url, bytes } of near) $('model').append(option(`${name} · ${megabytes(bytes)}`, new URL(url, new URL('../models/', location.href)).href));
  } catch (error) {
    console.warn('no list of models', error); // a static host without one: the hub's still work
  }
  const group = Object.assign(document.createElement('optgroup'), { label: 'From Hugging Face' });
  for (const [id, bytes] of HUB) group.append(option(`${id.split('/')[1]} · ${megabytes(bytes)}`, id));
  $('model').append(group, option('Another …', OTHER));
  const names = new Intl.DisplayNames(['en'], { type: 'language' });
  for (const code of LANGUAGES.split(' ')) $('language').append(option(code === 'jw' ? 'Javanese' : names.of(code), code));
}

/** Models whose name says so know English only. */
const isEnglish = () => /\.en\b/.test($('model').selectedOptions[0]?.textContent ?? '');
function showSettings() {
  $('other-row').hidden = $('model').value !== OTHER;
  for (const id of ['language', 'task']) $(id).disabled = isEnglish();
  $('language').options[0].textContent = isEnglish() ? 'English' : 'Detect';
  if (isEnglish()) [$('language').value, $('task').value] = ['', 'transcribe'];
}
$('model').onchange = showSettings;

// ---- the model

async function load(signal) {
  const source = $('model').value === OTHER ? $('other').value.trim() : $('model').value;
  if (!source) {
    $('other').focus();
    throw new Error('Name a model first: owner/name on Hugging Face, or the address of its model.safetensors.');
  }
  const device = $('device').value;
  const key = JSON.stringify([source, device]);
  if (transcriber && loadedAs === key) return;
  transcriber?.dispose();
  transcriber = undefined;
  const label = $('model').value === OTHER ? source.split('/').slice(-2).join('/') : $('model').selectedOptions[0].textContent.split(' · ')[0];
  const titles = { resolve: 'Looking for the model', download: 'Downloading the model', load: 'Preparing the model', ready: 'Ready' };
  const onProgress = ({ phase, loadedBytes, totalBytes, fromCache }) => {
    const title = phase === 'download' && fromCache ? 'Reading the model from this browser' : titles[phase];
    showWork(title, totalBytes ? loadedBytes / totalBytes : undefined, totalBytes ? `${megabytes(loadedBytes)} of ${megabytes(totalBytes)}` : '');
  };
  showWork(titles.resolve, undefined, label);
  transcriber = await Transcriber.load(source, { device, signal, onProgress });
  loadedAs = key;
  $('model-name').textContent = label;
}

// ---- work

/** `part` from 0 to 1; `undefined` where nobody knows. */
function showWork(title, part, detail) {
  if ($('work-title').textContent !== title) announce(title);
  $('work-title').textContent = title;
  $('work-detail').textContent = detail;
  if (part === undefined) $('progress').removeAttribute('value');
  else $('progress').value = part;
}

function setBusy(isBusy, isLive = false) {
  $('work').hidden = !isBusy;
  $('settings').disabled = isBusy;
  $('file').disabled = isBusy;
  $('url-form').querySelector('button').disabled = isBusy;
  $('record').disabled = isBusy && !isLive;
  $('record').classList.toggle('on', isLive);
  $('record').lastChild.textContent = isLive ? 'Stop recording' : 'Record';
  if (!isBusy) showSettings();
}

/** Transcribes what `open` gives: `{ source, name, sound, finish }`. */
async function transcribe(open, isLive = false) {
  if (running) return;
  const controllers = { abort: new AbortController(), end: new AbortController() };
  running = controllers;
  $('error').hidden = true;
  setBusy(true, false);
  let opened;
  try {
    await load(controllers.abort.signal);
    opened = await open(controllers);
    begin(opened, isLive);
    const { signal } = controllers.abort;
    const start = performance.now();
    result = await transcriber.transcribe(opened.source, {
      timestamps: 'word',
      ...($('language').value ? { language: $('language').value } : {}),
      task: $('task').value,
      signal,
      until: controllers.end.signal,
      onSound: (sound) => wave.push(sound),
      onProgress({ seconds, totalSeconds }) {
        if (isLive) return;
        const speed = seconds / ((performance.now() - start) / 1000);
        const total = totalSeconds === undefined ? '' : ` of ${clock(totalSeconds)}`;
        showWork('Listening', totalSeconds ? seconds / totalSeconds : undefined, `${clock(seconds)}${total}${seconds > 0 ? ` · ${speed.toFixed(1)} × real time` : ''}`);
      },
      onPartial: ({ committed, text }) => showPartial(committed + text),
      onSegment(segment) {
        showPartial('');
        transcript.add(segment);
        announce(segment.text);
      },
    });
    const { speed, seconds, audioSeconds } = result.stats;
    $('stats').textContent = `${clock(audioSeconds)} in ${seconds.toFixed(1)} s · ${speed.toFixed(1)} × real time${result.language ? ` · ${nameOf(result.language)}` : ''}`;
    $('nothing').hidden = !transcript.isEmpty;
    announce(transcript.isEmpty ? 'Nothing was said' : 'The transcript is ready');
  } catch (error) {
    if (error?.code === 'crashed' || error?.code === 'disposed') transcriber = undefined;
    fail(error, error?.code === 'crashed' || error?.code === 'network' ? { label: 'Try again', run: () => transcribe(open, isLive) } : undefined);
    if (error?.name === 'AbortError') announce('Stopped');
  } finally {
    await opened?.finish?.();
    showPartial('');
    running = undefined;
    setBusy(false);
    wave.settle();
    for (const id of ['downloads', 'hint']) $(id).hidden = transcript.isEmpty;
    $('result').hidden = transcript.isEmpty && $('nothing').hidden;
  }
}

const nameOf = (code) => new Intl.DisplayNames(['en'], { type: 'language' }).of(code);

function begin(opened, isLive) {
  name = opened.name;
  result = undefined;
  transcript.clear();
  $('stats').textContent = '';
  for (const id of ['nothing', 'downloads', 'hint']) $(id).hidden = true;
  $('result').hidden = false;
  $('player').hidden = false;
  wave.begin({ isLive, totalSeconds: undefined });
  play(opened.sound);
  setBusy(true, isLive);
  showWork(isLive ? 'Listening to the microphone' : 'Listening', undefined, isLive ? 'text comes while you speak' : name);
}

function showPartial(text) {
  $('partial').textContent = text.trim();
  $('partial').hidden = text.trim() === '';
}

$('stop').onclick = () => running?.abort.abort();

// ---- sound

/** Gives the player a sound: a Blob or an address; nothing hides it. */
function play(sound) {
  if (playable) URL.revokeObjectURL(playable);
  playable = sound instanceof Blob ? URL.createObjectURL(sound) : undefined;
  audio.hidden = sound === undefined;
  if (sound === undefined) audio.removeAttribute('src');
  else audio.src = playable ?? sound;
}

function fromFile(file) {
  return transcribe(async () => ({ source: file, name: file.name.replace(/\.[^.]*$/, ''), sound: file }));
}

$('file').onchange = ({ target }) => {
  const [file] = target.files;
  target.value = ''; // the same file may be chosen again
  if (file) fromFile(file);
};
$('url-form').onsubmit = (event) => {
  event.preventDefault();
  const address = $('url').value.trim();
  if (!address) return $('url').focus();
  transcribe(async () => ({ source: address, name: address.split(/[/?#]/).filter(Boolean).at(-1).replace(/\.[^.]*$/, ''), sound: address }));
};
$('record').onclick = () => {
  if (running) return running.end.abort();
  transcribe(async ({ abort, end }) => {
    const stream = await Transcriber.openMicrophone();
    const recorder = new MediaRecorder(stream);
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start();
    const close = () => {
      if (recorder.state !== 'inactive') recorder.stop();
      // The engine hears of the end by itself; the sign that the page listens goes out.
      for (const track of stream.getTracks()) track.stop();
      $('record').disabled = true;
      showWork('Writing down the rest', undefined, '');
    };
    abort.signal.addEventListener('abort', close);
    end.signal.addEventListener('abort', close);
    const finish = async () => {
      close();
      await stopped;
      play(new Blob(parts, { type: recorder.mimeType }));
    };
    return { source: stream, name: 'recording', sound: undefined, finish };
  }, true);
};

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
  const [file] = event.dataTransfer.files;
  if (file) fromFile(file);
});

function seek(seconds, start) {
  if (audio.hidden) return;
  audio.currentTime = seconds;
  follow();
  if (start) audio.play().catch(fail);
}

function follow() {
  wave.at(audio.currentTime, audio.duration);
  transcript.follow(audio.currentTime);
  if (!audio.paused) requestAnimationFrame(follow);
}
audio.onplay = audio.onseeked = audio.onloadedmetadata = follow;

// ---- the text

const writers = {
  srt: ['application/x-subrip', toSRT],
  vtt: ['text/vtt', (segments) => toVTT(segments, { words: true })],
  txt: ['text/plain', toText],
  json: ['application/json', (segments) => `${JSON.stringify({ ...result?.toJSON(), text: segments.map(({ text }) => text).join('').trim(), segments }, null, 1)}\n`],
};
$('downloads').onclick = ({ target }) => {
  const format = target.dataset.format;
  if (!format) return;
  const [type, write] = writers[format];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([write(transcript.segments())], { type }));
  link.download = `${name}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};
$('copy').onclick = async ({ target }) => {
  await navigator.clipboard.writeText(toText(transcript.segments()));
  target.textContent = 'Copied';
  setTimeout(() => (target.textContent = 'Copy text'), 1500);
};

await listModels();
showSettings();
$('record').disabled = false;
$('url-form').querySelector('button').disabled = false; // before this script ran, it would have left the page
