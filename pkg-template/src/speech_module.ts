// What the modules for speech offer; wasm-bindgen writes its own, looser, declarations into dist.
import type { OnWeights, ReadableFile } from './local.js';
import type { Partial, Segment } from './transcript.js';
import type { AdapterInfo, DeviceName } from './types.js';

export interface EngineSpeechInfo {
  languages: string[];
  melBins: number;
  encoderLayers: number;
  decoderLayers: number;
  width: number;
  vocabSize: number;
  memoryBytes: number;
}

export interface EngineSpeechStats {
  audioSeconds: number;
  windows: number;
  tokens: number;
  fallbacks: number;
  encodeMs: number;
  decodeMs: number;
  alignMs: number;
}

export type EngineSpeechStep =
  | { kind: 'needAudio' }
  | { kind: 'working'; position: number; tokens: number }
  | { kind: 'partial'; partial: Partial }
  | { kind: 'segment'; segment: Segment }
  | { kind: 'done'; language: string; memoryBytes: number; stats: EngineSpeechStats };

/** A transcription in the engine. */
export interface EngineTranscription {
  push(samples: Float32Array, rate: number): void;
  finish(): void;
  step(): Promise<EngineSpeechStep>;
  free(): void;
}

/** A speech model in the engine. */
export interface EngineTranscriber {
  info(): EngineSpeechInfo;
  adapter(): AdapterInfo | undefined;
  start(options: object): EngineTranscription;
  startLive(options: object, live: object): EngineTranscription;
  free(): void;
}

/** The module. */
export interface SpeechModule {
  WasmTranscriber: {
    load(files: ReadableFile[], options: { quantize?: string; device: DeviceName }, onProgress: OnWeights, isAborted: () => boolean): Promise<EngineTranscriber>;
  };
  memoryBytes(): number;
}
