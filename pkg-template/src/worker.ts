// The Worker's side: takes calls, answers them. The page's side is remote.ts.
import type { Piece } from './audio/reader.js';
import { LocalBackend } from './engine.js';
import { AbortError, toWire } from './errors.js';
import type { Call, Reply, Request } from './protocol.js';
import { LocalSpeech } from './speech.js';

const text = new LocalBackend();
const speech = new LocalSpeech();
/** The one of them that has a model: a Worker has one. */
let engine: LocalBackend | LocalSpeech = text;
const running = new Map<number, AbortController>();
/** Transcriptions that have asked for sound. */
const waiting = new Map<number, (piece: Piece | undefined) => void>();
const reply = (message: Reply) => (globalThis as unknown as { postMessage(message: Reply): void }).postMessage(message);

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if ('abort' in data) running.get(data.id)?.abort(new AbortError());
  else if ('piece' in data) waiting.get(data.id)?.(data.piece);
  else void answer(data.id, data.call);
});

// A trap outside of any promise, for instance when memory ran out: all calls that wait have to be told.
addEventListener('error', (event) => {
  event.preventDefault();
  reply({ fatal: toWire(engine.explain(event.error ?? event.message)) });
});

async function answer(id: number, call: Call): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    reply({ id, value: await perform(id, call, controller.signal) });
  } catch (error) {
    reply({ id, error: toWire(error) });
  } finally {
    running.delete(id);
    waiting.delete(id);
  }
}

function perform(id: number, call: Call, signal: AbortSignal): Promise<unknown> {
  switch (call.method) {
    case 'load':
      return text.load(call.source, call.options, (progress) => reply({ id, progress }), signal);
    case 'generate':
      return text.generate(call.prompt, call.options, (event) => reply({ id, event }), signal);
    case 'profile':
      return text.profile(call.tokens, signal);
    case 'tokenize':
      return text.tokenize(call.text, call.addSpecial);
    case 'detokenize':
      return text.detokenize(call.ids);
    case 'applyChatTemplate':
      return text.applyChatTemplate(call.messages, call.addGenerationPrompt);
    case 'loadSpeech':
      engine = speech;
      return speech.load(call.source, call.options, (progress) => reply({ id, progress }), signal);
    case 'transcribe': {
      const pull = () =>
        new Promise<Piece | undefined>((resolve) => {
          waiting.set(id, resolve);
          reply({ id, pull: true });
        });
      return speech.transcribe(pull, call.live, call.options, (event) => reply({ id, event }), signal);
    }
  }
}
