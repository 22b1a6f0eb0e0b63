// The messages between the page and the Worker.
import type { Piece } from './audio/reader.js';
import type { EngineGenerateOptions, EngineLoadOptions, GenerateEvent, Prompt } from './engine.js';
import type { WireError } from './errors.js';
import type { SourceSpec } from './source/resolve.js';
import type { SpeechLoadOptions, TranscribeEvent } from './speech.js';
import type { LoadProgress, Message } from './types.js';

/** A call. */
export type Call =
  | { method: 'load'; source: SourceSpec; options: EngineLoadOptions }
  | { method: 'generate'; prompt: Prompt; options: EngineGenerateOptions }
  | { method: 'profile'; tokens: number }
  | { method: 'tokenize'; text: string; addSpecial: boolean }
  | { method: 'detokenize'; ids: Uint32Array }
  | { method: 'applyChatTemplate'; messages: Message[]; addGenerationPrompt: boolean }
  | { method: 'loadSpeech'; source: SourceSpec; options: SpeechLoadOptions }
  | { method: 'transcribe'; live: object | undefined; options: object };

/** From the page: a call, that one is to be stopped, or the sound that one asked for. */
export type Request = { id: number; call: Call } | { id: number; abort: true } | { id: number; piece: Piece | undefined };

/** From the Worker: what happens in a call, that it wants sound, how it ended, or that the engine is lost. */
export type Reply = { fatal: WireError } | { id: number; progress: LoadProgress } | { id: number; event: GenerateEvent | TranscribeEvent } | { id: number; pull: true } | { id: number; value: unknown } | { id: number; error: WireError };
