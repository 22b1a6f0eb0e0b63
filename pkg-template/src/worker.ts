// The Worker's side: takes calls, answers them. The page's side is remote.ts.
import { LocalBackend } from './engine.js';
import { AbortError, toWire } from './errors.js';
import type { Call, Reply, Request } from './protocol.js';

const backend = new LocalBackend();
const running = new Map<number, AbortController>();
const reply = (message: Reply) => (globalThis as unknown as { postMessage(message: Reply): void }).postMessage(message);

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if ('abort' in data) running.get(data.id)?.abort(new AbortError());
  else void answer(data.id, data.call);
});

// A trap outside of any promise, for instance when memory ran out: all calls that wait have to be told.
addEventListener('error', (event) => {
  event.preventDefault();
  reply({ fatal: toWire(backend.explain(event.error ?? event.message)) });
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
  }
}

function perform(id: number, call: Call, signal: AbortSignal): Promise<unknown> {
  switch (call.method) {
    case 'load':
      return backend.load(call.source, call.options, (progress) => reply({ id, progress }), signal);
    case 'generate':
      return backend.generate(call.prompt, call.options, (event) => reply({ id, event }), signal);
    case 'tokenize':
      return backend.tokenize(call.text, call.addSpecial);
    case 'detokenize':
      return backend.detokenize(call.ids);
    case 'applyChatTemplate':
      return backend.applyChatTemplate(call.messages, call.addGenerationPrompt);
  }
}
