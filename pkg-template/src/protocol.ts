// The messages between the page and the Worker.
import type { EngineGenerateOptions, EngineLoadOptions, GenerateEvent, Prompt } from './engine.js';
import type { WireError } from './errors.js';
import type { SourceSpec } from './source/resolve.js';
import type { LoadProgress, Message } from './types.js';

/** A call. */
export type Call =
  | { method: 'load'; source: SourceSpec; options: EngineLoadOptions }
  | { method: 'generate'; prompt: Prompt; options: EngineGenerateOptions }
  | { method: 'tokenize'; text: string; addSpecial: boolean }
  | { method: 'detokenize'; ids: Uint32Array }
  | { method: 'applyChatTemplate'; messages: Message[]; addGenerationPrompt: boolean };

/** From the page: a call, or that one is to be stopped. */
export type Request = { id: number; call: Call } | { id: number; abort: true };

/** From the Worker: what happens in a call, how it ended, or that the engine is lost. */
export type Reply = { fatal: WireError } | { id: number; progress: LoadProgress } | { id: number; event: GenerateEvent } | { id: number; value: unknown } | { id: number; error: WireError };
