// Speech to text as a developer uses it, in Chromium and in Node, with Whisper tiny.en on one thread.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { setUp } from './harness.js';
import { MODELS, ROOT } from './server.js';
import { jfk, JFK_PATH, jfkStereo, wav } from './sounds.js';

const golden = (name) => JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/golden/whisper', name), 'utf8'));
const reference = golden('tiny.en_reference_jfk.json');
const openai = golden('openai.json')['whisper-tiny.en'];
/** What was said, without the punctuation that a resampled sound may change. */
const words = (text) => text.toLowerCase().replace(/[^a-z ]/g, '');
const SAID = words(reference.text.trim());

describe('a transcriber', { concurrency: 1 }, () => {
  let at;
  let page;
  before(async () => {
    at = await setUp();
    page = await at.bench();
    await page.evaluate(async (url) => {
      t.transcriber = await votive.Transcriber.load(url);
      t.jfk = await (await fetch('/golden/audio/jfk.wav')).blob();
      /** Bytes before its samples. */
      t.head = new TextDecoder('latin1').decode(await t.jfk.arrayBuffer()).indexOf('data') + 8;
      /** What matters of a transcription, as data. */
      t.run = async (source, options) => {
        const result = await t.transcriber.transcribe(source, options);
        return { ...result.toJSON(), words: result.words, srt: result.toSRT(), vtt: result.toVTT({ words: true }), txt: result.toText() };
      };
    }, at.whisper);
    at.site.documents['/stereo.wav'] = jfkStereo();
    at.site.documents['/second.wav'] = wav(jfk().slice(0, 1600), 16_000);
  });
  after(() => at?.close());

  test('tells what the model is', async () => {
    const info = await page.evaluate(() => t.transcriber.info);
    assert.deepEqual([info.languages, info.melBins, info.encoderLayers, info.width, info.vocabSize], [[], 80, 4, 384, 51864]);
    assert.equal(info.engine.threads, 1);
  });

  test('gives the tokens of the reference for a file at a URL', async () => {
    const { segments, text, language, duration } = await page.evaluate(() => t.run('/golden/audio/jfk.wav', { timestamps: false, temperature: 0 }));
    assert.deepEqual(segments.flatMap(({ tokens }) => tokens), reference.tokens.slice(reference.prompt.length));
    assert.deepEqual([text, language, duration], [reference.text.trim(), 'en', 11]);
  });

  test('gives the words of OpenAI’s implementation at their times, with events as it goes', async () => {
    const { result, heard } = await page.evaluate(async () => {
      const heard = { segments: [], words: [], progress: [], samples: 0 };
      const result = await t.run(t.jfk, {
        timestamps: 'word',
        onSegment: ({ text }) => heard.segments.push(text),
        onWord: ({ text }) => heard.words.push(text),
        onProgress: (progress) => heard.progress.push(progress),
        onSound: ({ samples }) => (heard.samples += samples.length),
      });
      return { result, heard };
    });
    const wanted = openai.jfk_words.segments;
    assert.deepEqual(result.segments.map(({ tokens }) => tokens), wanted.map(({ tokens }) => tokens));
    const all = wanted.flatMap((segment) => segment.words);
    assert.deepEqual(result.words.map(({ text }) => text), all.map(({ word }) => word));
    // A tenth of a second: what the alignment of tokens on 20 ms steps may differ by where rounding does.
    for (const [i, { start, end }] of result.words.entries()) assert.ok(Math.abs(start - all[i].start) <= 0.1 && Math.abs(end - all[i].end) <= 0.1, `${all[i].word}: ${start} to ${end}`);
    assert.deepEqual(heard.segments, result.segments.map(({ text }) => text));
    assert.deepEqual(heard.words, result.words.map(({ text }) => text));
    assert.deepEqual(heard.progress.at(-1), { seconds: 11, totalSeconds: 11 });
    assert.equal(heard.samples, 176_000);
    assert.match(result.srt, /^1\n00:00:00,000 --> 00:00:08,0\d0\nAnd so my fellow Americans ask not what your country can do for you\n\n2\n/);
    assert.match(result.vtt, /^WEBVTT\n\n00:00\.000 --> 00:08\.\d+\nAnd<00:00\.\d+><c> so<\/c>/);
    assert.equal(result.txt.split('\n').length, 3);
  });

  test('hears 48 kHz stereo as it hears the original', async () => {
    assert.equal(words((await page.evaluate(() => t.run('/stereo.wav', { timestamps: false }))).text), SAID);
  });

  test('takes what the browser decodes, and samples', async () => {
    // A few seconds of sound, recorded by the browser in its own compressed format.
    const texts = await page.evaluate(async () => {
      const context = new OfflineAudioContext(1, 16_000 * 4, 16_000);
      const buffer = await context.decodeAudioData(await t.jfk.arrayBuffer());
      const live = new AudioContext();
      const target = live.createMediaStreamDestination();
      const source = new AudioBufferSourceNode(live, { buffer });
      source.connect(target);
      const recorder = new MediaRecorder(target.stream, { mimeType: 'audio/webm;codecs=opus' });
      const parts = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      recorder.start();
      source.start(0, 0, 3);
      await new Promise((resolve) => (source.onended = resolve));
      const stopped = new Promise((resolve) => (recorder.onstop = resolve));
      recorder.stop();
      await stopped;
      await live.close();
      const texts = [];
      const samples = buffer.getChannelData(0).subarray(0, 48_000);
      const piece = new AudioBuffer({ length: 48_000, sampleRate: 16_000 });
      piece.copyToChannel(samples, 0);
      for (const sound of [new Blob(parts), samples, { samples: Int16Array.from(samples, (v) => v * 32767), sampleRate: 16_000 }, piece]) texts.push((await t.run(sound, { timestamps: false })).text);
      return texts;
    });
    // Of three seconds the smallest model hears "am I" for "my", however they come.
    for (const text of texts) assert.match(words(text), /^and so .*fellow americans$/);
    assert.equal(new Set(texts.slice(1)).size, 1, JSON.stringify(texts));
  });

  test('says nothing of silence, and stands a tenth of a second', async () => {
    const silence = await page.evaluate(() => t.run(new Float32Array(16_000 * 5)));
    assert.deepEqual([silence.text, silence.segments], ['', []]);
    assert.equal((await page.evaluate(() => t.run('/second.wav'))).duration, 0.1);
  });

  test('tells what is wrong', async () => {
    const failures = await page.evaluate(async () => {
      const wav = new Uint8Array(await t.jfk.arrayBuffer());
      const cases = [new Blob(['this is no sound']), wav.slice(0, 30), wav.slice(0, t.head), new Float32Array(0), new Blob([]), '/nothing.wav', { samples: new Float32Array(9), sampleRate: 0 }, 42, new MediaStream()];
      const failures = [];
      for (const source of cases) failures.push(await t.failure(t.transcriber.transcribe(source)));
      for (const options of [{ beamSize: 0 }, { langauge: 'en' }, { language: 'klingon' }, { task: 'translate' }]) failures.push(await t.failure(t.transcriber.transcribe(t.jfk, options)));
      return failures;
    });
    const codes = ['format', 'format', 'format', 'input', 'input', 'not-found', 'input', 'input', 'input', 'input', 'input', 'input', 'unsupported'];
    assert.deepEqual(failures.map((failure) => failure?.code), codes, JSON.stringify(failures));
    assert.match(failures[0].message, /the browser cannot decode/);
    assert.match(failures[10].message, /langauge/);
  });

  test('stops in the middle, and goes on with the next', async () => {
    const { failure, text } = await page.evaluate(async () => {
      const controller = new AbortController();
      const stopped = t.failure(t.transcriber.transcribe(t.jfk, { signal: controller.signal, onProgress: () => controller.abort() }));
      return { failure: await stopped, text: (await t.run(t.jfk, { timestamps: false })).text };
    });
    assert.equal(failure.name, 'AbortError');
    assert.equal(text, reference.text.trim());
  });

  test('takes no more memory for longer sound', async () => {
    const { short, long, read } = await page.evaluate(async () => {
      const bytes = await t.jfk.arrayBuffer();
      const repeated = (count) => {
        const head = new Uint8Array(bytes.slice(0, t.head));
        new DataView(head.buffer).setUint32(t.head - 4, 0xffffffff, true); // as programs write that do not know the length
        return new Blob([head, ...Array(count).fill(bytes.slice(t.head))]);
      };
      const most = { samples: 0 };
      // Repeated speech is refused as such, and heard again at all temperatures, unless there is only one.
      const options = { timestamps: false, temperature: 0, onSound: ({ samples }) => (most.samples = Math.max(most.samples, samples.length)) };
      const short = await t.run(repeated(3), options);
      const long = await t.run(repeated(18), options);
      return { short: short.stats, long: long.stats, read: most.samples };
    });
    assert.ok(long.audioSeconds > 197 && long.windows > short.windows, JSON.stringify(long));
    // The sound alone is 10 MB longer. Of freed memory what lies between other things may not fit at once: some pages more.
    assert.ok(long.memoryBytes < short.memoryBytes + 4e6, `${long.memoryBytes} bytes, for a sixth of it ${short.memoryBytes}`);
    assert.ok(read <= 160_000, `${read} samples at once`);
  });

  test('is gone after it was disposed of', async () => {
    const failures = await page.evaluate(async () => {
      const going = t.failure(t.transcriber.transcribe(t.jfk, { onProgress: () => t.transcriber.dispose() }));
      return [await going, await t.failure(t.transcriber.transcribe(t.jfk))];
    });
    assert.deepEqual(failures.map(({ code }) => code), ['disposed', 'disposed']);
  });
});

describe('a transcriber in Node', { concurrency: 1 }, () => {
  const cache = fs.mkdtempSync(path.join(os.tmpdir(), 'votive-cache-'));
  after(() => fs.rmSync(cache, { recursive: true }));

  test('reads WAV files by path and as bytes, and samples', async () => {
    process.env.VOTIVE_CACHE = cache;
    const { Transcriber } = await import(pathToFileURL(path.join(ROOT, 'pkg-template/dist/index.js')));
    const transcriber = await Transcriber.load(path.join(MODELS, 'whisper-tiny.en'));
    const samples = Float32Array.from(jfk(), (value) => value / 32768);
    for (const source of [JFK_PATH, fs.readFileSync(JFK_PATH), samples]) {
      assert.equal((await transcriber.transcribe(source, { timestamps: false })).text, reference.text.trim());
    }
    await assert.rejects(transcriber.transcribe(Buffer.from('ID3 is not read here')), { code: 'unsupported' });
    await assert.rejects(transcriber.transcribe('/no/such/file.wav'), { code: 'input' });
    transcriber.dispose();
  });
});
