// The shape of the OpenAI API's chat completions, for code that was written to it.
import type { TextModel } from './model.js';
import type { TextStream } from './stream.js';
import type { FinishReason, GenerateOptions, GenerationResult, Message } from './types.js';

/** What is asked for, as the OpenAI API names it; fields not listed here are ignored. */
export interface ChatCompletionRequest {
  messages: readonly Message[];
  stream?: boolean;
  max_tokens?: number;
  max_completion_tokens?: number;
  temperature?: number;
  top_p?: number;
  frequency_penalty?: number;
  presence_penalty?: number;
  logit_bias?: Record<number, number>;
  seed?: number;
  stop?: string | readonly string[];
  /** Stops the generation (not part of the OpenAI API). */
  signal?: AbortSignal;
}

/** How many tokens a completion took. */
export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

/** A whole answer. */
export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  choices: [{ index: 0; message: { role: 'assistant'; content: string }; finish_reason: 'stop' | 'length' }];
  usage: CompletionUsage;
}

/** A piece of an answer; the last one has the finish reason and the usage. */
export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  created: number;
  model: string;
  choices: [{ index: 0; delta: { role?: 'assistant'; content?: string }; finish_reason: 'stop' | 'length' | null }];
  usage?: CompletionUsage;
}

/** A whole answer in the OpenAI API's shape. */
export async function complete(model: TextModel, request: ChatCompletionRequest): Promise<ChatCompletion> {
  const result = await start(model, request).result;
  return {
    ...head(model),
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: result.text }, finish_reason: reason(result.finishReason) }],
    usage: usage(result),
  };
}

/** An answer in pieces of the OpenAI API's shape. */
export async function* completeStreaming(model: TextModel, request: ChatCompletionRequest): AsyncGenerator<ChatCompletionChunk> {
  const stream = start(model, request);
  const common = { ...head(model), object: 'chat.completion.chunk' as const };
  yield { ...common, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] };
  for await (const content of stream) yield { ...common, choices: [{ index: 0, delta: { content }, finish_reason: null }] };
  const result = await stream.result;
  yield { ...common, choices: [{ index: 0, delta: {}, finish_reason: reason(result.finishReason) }], usage: usage(result) };
}

function start(model: TextModel, request: ChatCompletionRequest): TextStream {
  const options: { [K in keyof GenerateOptions]: GenerateOptions[K] | undefined } = {
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    temperature: request.temperature,
    topP: request.top_p,
    frequencyPenalty: request.frequency_penalty,
    presencePenalty: request.presence_penalty,
    logitBias: request.logit_bias,
    seed: request.seed,
    stop: request.stop,
    signal: request.signal,
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return model.chat(request.messages, given);
}

function head(model: TextModel): { id: string; created: number; model: string } {
  return { id: `chatcmpl-${Math.random().toString(36).slice(2)}`, created: Math.floor(Date.now() / 1000), model: model.info.architecture };
}

function reason(finish: FinishReason): 'stop' | 'length' {
  return finish === 'length' ? 'length' : 'stop';
}

function usage({ stats }: GenerationResult): CompletionUsage {
  return {
    prompt_tokens: stats.promptTokens,
    completion_tokens: stats.generatedTokens,
    total_tokens: stats.promptTokens + stats.generatedTokens,
    prompt_tokens_details: { cached_tokens: stats.cachedTokens },
  };
}
