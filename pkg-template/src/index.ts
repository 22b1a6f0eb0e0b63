export { isolate } from './isolation.js';
export { TextModel } from './model.js';
export { TextStream } from './stream.js';
export { Session, type SessionOptions } from './session.js';
export type { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, CompletionUsage } from './completions.js';
export {
  AbortError,
  CrashError,
  DisposedError,
  type ErrorCode,
  FormatError,
  InputError,
  NetworkError,
  OutOfMemoryError,
  StorageError,
  UnsupportedError,
  VotiveError,
} from './errors.js';
export { type CacheEntry, clearCache, deleteFromCache, listCache } from './storage/cache.js';
export type { Build, EngineInfo, FinishReason, GenerateOptions, GenerationResult, GenerationStats, LoadOptions, LoadProgress, Message, ModelInfo, ModelSource, Role } from './types.js';
