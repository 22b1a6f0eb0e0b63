// What the modules for text models offer; wasm-bindgen writes its own, looser, declarations into dist.
import type { AdapterInfo, DeviceCounts, DeviceName, KernelTime, Message } from './types.js';

/** A file that the engine reads. */
export interface EngineFile {
  name: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface EngineModelInfo {
  architecture: string;
  parameters: number;
  dtype: string;
  contextLength: number;
  vocabSize: number;
  layers: number;
  hasChatTemplate: boolean;
  weightBytes: number;
  cacheBytesPerToken: number;
}

export interface EngineStats {
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  prefillMs: number;
  decodeMs: number;
  memoryBytes: number;
}

export type EngineStep =
  | { kind: 'prefill'; done: number; total: number }
  | { kind: 'token'; id: number; text: string }
  | { kind: 'done'; reason: 'stop' | 'length' | 'eos'; text: string; stats: EngineStats };

/** An answer being generated. */
export interface EngineGeneration {
  step(): Promise<EngineStep>;
  free(): void;
}

/** A model in the engine. */
export interface EngineTextModel {
  info(): EngineModelInfo;
  start(prompt: string | readonly Message[] | Uint32Array, options: object): EngineGeneration;
  tokenize(text: string, addSpecial: boolean): Uint32Array;
  detokenize(ids: Uint32Array): string;
  applyChatTemplate(messages: readonly Message[], addGenerationPrompt: boolean): string;
  resetCache(): void;
  adapter(): AdapterInfo | undefined;
  profile(tokens: number): Promise<{ tokens: number; ms: number; counts?: DeviceCounts; kernels?: KernelTime[] }>;
  free(): void;
}

/** The module. */
export interface TextModule {
  WasmTextModel: {
    load(
      files: EngineFile[],
      options: { contextLength?: number; device: DeviceName },
      onProgress: (progress: { loadedBytes: number; totalBytes: number; tensor: string }) => void,
      isAborted: () => boolean,
    ): Promise<EngineTextModel>;
    measure(files: EngineFile[], device: DeviceName): Promise<number>;
  };
  memoryBytes(): number;
}
