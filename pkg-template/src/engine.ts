// The engine beside its files: in the Worker, or in the caller's own thread where there is no Worker.
import { throwIfAborted } from './errors.js';
import { type FileOptions, LocalEngine, type ReadableFile, turns } from './local.js';
import type { SourceSpec } from './source/resolve.js';
import type { EngineTextModel, TextModule } from './text_module.js';
import type { DecodeProfile, DeviceCounts, DeviceName, GenerateOptions, GenerationResult, LoadProgress, Message, ModelInfo } from './types.js';

/** What can be generated from: text as it is, a chat, or token ids. */
export type Prompt = string | Message[] | Uint32Array;

/** The options of loading that the engine sees. */
export interface EngineLoadOptions extends FileOptions {
  contextLength?: number | undefined;
}

/** The options of generating that the engine sees. */
export type EngineGenerateOptions = Omit<GenerateOptions, 'signal' | 'onPrefill'>;

/** What happens while text is generated. */
export type GenerateEvent = { kind: 'prefill'; done: number; total: number } | { kind: 'token'; id?: number; text: string };

/** One model: what the page's side calls, whether there is a Worker in between or not. */
export interface Backend {
  load(source: SourceSpec, options: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelInfo>;
  generate(prompt: Prompt, options: EngineGenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult>;
  profile(tokens: number, signal: AbortSignal): Promise<DecodeProfile>;
  tokenize(text: string, addSpecial: boolean): Promise<Uint32Array>;
  detokenize(ids: Uint32Array): Promise<string>;
  applyChatTemplate(messages: Message[], addGenerationPrompt: boolean): Promise<string>;
  dispose(): void;
}

/** The engine in this thread. */
export class LocalBackend extends LocalEngine<'text', EngineTextModel> implements Backend {
  constructor() {
    super('text');
  }

  async load(source: SourceSpec, options: EngineLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelInfo> {
    const { contextLength } = options;
    await this.loadFiles(source, options, onProgress, signal, ({ WasmTextModel }, files, device, onWeights, isAborted) =>
      WasmTextModel.load(files, { device, ...(contextLength === undefined ? {} : { contextLength }) }, onWeights, isAborted),
    );
    return this.info();
  }

  protected override measure({ WasmTextModel }: TextModule, files: ReadableFile[], device: DeviceName): Promise<number> {
    return WasmTextModel.measure(files, device);
  }

  profile(tokens: number, signal: AbortSignal): Promise<DecodeProfile> {
    return this.inTurn(signal, async () => {
      const model = this.loaded();
      const { ms, counts, kernels } = await this.guard(() => model.profile(tokens)).catch((error: unknown) => {
        throw this.engineError(error);
      });
      const { layers, weightBytes, engine } = this.info();
      const each = counts && Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / tokens]));
      return { tokens, msPerToken: ms / tokens, device: engine.device, layers, weightBytes, ...(each ? { perToken: each as DeviceCounts } : {}), ...(kernels ? { kernels } : {}) };
    });
  }

  generate(prompt: Prompt, options: EngineGenerateOptions, onEvent: (event: GenerateEvent) => void, signal: AbortSignal): Promise<GenerationResult> {
    return this.inTurn(signal, async () => {
      const model = this.loaded();
      const { reuseCache, stop, ...rest } = options;
      if (reuseCache === false) model.resetCache();
      const begin = performance.now();
      const turn = turns();
      const tokens: number[] = [];
      let text = '';
      let first = 0;
      let last = 0;
      const generation = this.guard(() => model.start(prompt, { ...rest, ...(stop === undefined ? {} : { stop: typeof stop === 'string' ? [stop] : stop }) }));
      try {
        for (;;) {
          await turn();
          throwIfAborted(signal);
          const step = await generation.step().catch((error: unknown) => {
            throw this.engineError(error);
          });
          if (step.kind === 'prefill') {
            onEvent(step);
          } else if (step.kind === 'token') {
            last = performance.now();
            first ||= last;
            tokens.push(step.id);
            text += step.text;
            onEvent({ kind: 'token', id: step.id, text: step.text });
          } else {
            text += step.text;
            if (step.text !== '') onEvent({ kind: 'token', text: step.text });
            const { promptTokens, cachedTokens, prefillMs, memoryBytes } = step.stats;
            const perSecond = (count: number, ms: number) => (ms > 0 ? (count * 1000) / ms : 0);
            return {
              text,
              tokens,
              finishReason: step.reason,
              stats: {
                promptTokens,
                cachedTokens,
                generatedTokens: tokens.length,
                prefillTokensPerSecond: perSecond(promptTokens - cachedTokens, prefillMs),
                decodeTokensPerSecond: perSecond(tokens.length - 1, last - first),
                timeToFirstTokenMs: (first || performance.now()) - begin,
                memoryBytes,
              },
            };
          }
        }
      } finally {
        if (!this.isLost) generation.free();
      }
    });
  }

  async tokenize(text: string, addSpecial: boolean): Promise<Uint32Array> {
    return this.inTurn(undefined, async () => this.guard(() => this.loaded().tokenize(text, addSpecial)));
  }

  async detokenize(ids: Uint32Array): Promise<string> {
    return this.inTurn(undefined, async () => this.guard(() => this.loaded().detokenize(ids)));
  }

  async applyChatTemplate(messages: Message[], addGenerationPrompt: boolean): Promise<string> {
    return this.inTurn(undefined, async () => this.guard(() => this.loaded().applyChatTemplate(messages, addGenerationPrompt)));
  }

  info(): ModelInfo {
    const info = this.guard(() => this.loaded().info());
    return { ...info, memoryBytes: this.memoryBytes(), engine: this.engine(this.loaded().adapter()) };
  }
}
