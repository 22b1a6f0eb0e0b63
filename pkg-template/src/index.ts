export { adapterInfo, availableEngines } from './device.js';
export { isolate } from './isolation.js';
export { TextModel } from './model.js';
export { type LiveOptions, Transcriber, type TranscribeOptions, type TranscribeProgress, type TranscriberLoadOptions } from './transcriber.js';
export { type Partial, type Segment, type SubtitleOptions, toSRT, toText, toVTT, Transcript, type TranscriptionStats, type Word } from './transcript.js';
export type { MicrophoneOptions } from './audio/live.js';
export type { AudioSource, Samples } from './audio/source.js';
export type { TranscriberInfo } from './speech.js';
export { TextStream } from './stream.js';
export { Session, type SessionOptions } from './session.js';
export type { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, CompletionUsage } from './completions.js';
export {
  AbortError,
  CrashError,
  DeviceError,
  DeviceLostError,
  DisposedError,
  type ErrorCode,
  FormatError,
  InputError,
  NetworkError,
  OutOfMemoryError,
  PermissionError,
  StorageError,
  UnsupportedError,
  VotiveError,
} from './errors.js';
export { type CacheEntry, clearCache, deleteFromCache, listCache } from './storage/cache.js';
export type { AdapterInfo, Build, DecodeProfile, DeviceChoice, DeviceCounts, DeviceName, EngineInfo, FinishReason, GenerateOptions, GenerationResult, GenerationStats, KernelTime, LoadOptions, LoadProgress, Message, ModelInfo, ModelSource, Role } from './types.js';
