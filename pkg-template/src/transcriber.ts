import { openMicrophone } from './audio/live.js';
import type { AudioReader } from './audio/reader.js';
import { type AudioSource, openAudio } from './audio/source.js';
import { checkDevice } from './device.js';
import { DisposedError, InputError, throwIfAborted } from './errors.js';
import { describeSource } from './source/resolve.js';
import { LocalSpeech, type SpeechBackend, type TranscribeEvent, type TranscriberInfo, WorkerSpeech } from './speech.js';
import { type Partial, type Segment, Transcript, type Word } from './transcript.js';
import type { DeviceName, LoadOptions, ModelSource } from './types.js';

/** Options of `Transcriber.load`. */
export interface TranscriberLoadOptions extends Omit<LoadOptions, 'contextLength'> {
  /** Quantizes the weights while they are loaded: `'q8_0'` hardly changes the text, `'q5_0'` and `'q4_k'` take less memory. */
  quantize?: string;
}

/** How far a transcription is. */
export interface TranscribeProgress {
  /** Seconds of the sound that are done with. */
  seconds: number;
  /** Seconds that the sound has, where it is known. */
  totalSeconds: number | undefined;
}

/** How to listen to live sound. */
export interface LiveOptions {
  /** Seconds of new sound after which what is being said is heard again. Default 1. */
  interval?: number;
  /** Seconds of quiet that end an utterance, and make its text final. Default 0.6. */
  pause?: number;
  /** From 0 to 1: from which on a sound is speech. Default 0.5. */
  speechThreshold?: number;
  /** Seconds after which running speech is cut between two words. Default 25. */
  longest?: number;
}

/** Options of `Transcriber.transcribe`. The defaults are those of OpenAI's implementation. */
export interface TranscribeOptions {
  /** What is spoken, by code or English name (`'de'`, `'german'`). Default: detected in the first 30 seconds. */
  language?: string;
  /** Write down what is said, or its English translation. Default `'transcribe'`. */
  task?: 'transcribe' | 'translate';
  /** Times of segments (the default), of their words too, or `false`: one segment for each 30 seconds, the fastest. */
  timestamps?: false | 'segment' | 'word';
  /** Names and terms to expect, as a text that might come before. */
  initialPrompt?: string;
  /** Follow so many texts at once; 1, the default, is fastest. */
  beamSize?: number;
  /** Texts drawn at temperatures above 0, of which the likeliest is kept. Default 5. */
  bestOf?: number;
  /** Temperatures to try, each when the text of the one before was refused. Default `[0, 0.2, 0.4, 0.6, 0.8, 1]`. */
  temperature?: number | readonly number[];
  patience?: number;
  lengthPenalty?: number;
  /** A text that compresses better is refused. Default 2.4. */
  compressionRatioThreshold?: number;
  /** A text with a lower mean log-probability is refused. Default -1. */
  logProbabilityThreshold?: number;
  /** A window more likely silent than this, whose text is unlikely, is silent. Default 0.6. */
  noSpeechThreshold?: number;
  /** Give the model the text before each window. Default `true`. */
  conditionOnPreviousText?: boolean;
  /** Most tokens of 30 seconds. */
  maxTokens?: number;
  /** The same seed draws the same words at temperatures above 0. */
  seed?: number;
  /** How to listen to live sound. */
  live?: LiveOptions;
  /** Stops at once; the call rejects. */
  signal?: AbortSignal;
  /** Ends live sound: what was heard until then is written down, and the call gives its result. */
  until?: AbortSignal;
  /** Hears of each segment as it is final. */
  onSegment?: (segment: Segment) => void;
  /** Hears of each word of final segments; with `timestamps: 'word'`. */
  onWord?: (word: Word) => void;
  /** Hears what is being said, of live sound, before it is final. */
  onPartial?: (partial: Partial) => void;
  /** Hears the sound as it is read, for instance to draw it. The samples are lent: they are gone after the call. */
  onSound?: (sound: { samples: Float32Array; sampleRate: number }) => void;
  /** Hears how far it is, at most some 20 times a second. */
  onProgress?: (progress: TranscribeProgress) => void;
}

/** A Whisper model, loaded and ready to listen. Calls on one model run one after another. */
export class Transcriber {
  /** What is known of the model. */
  readonly info: TranscriberInfo;
  readonly #backend: SpeechBackend;
  #isDisposed = false;

  private constructor(backend: SpeechBackend, info: TranscriberInfo) {
    this.#backend = backend;
    this.info = info;
  }

  /**
   * Loads a model: a hub id (`'openai/whisper-base'`), the URL of its `model.safetensors` (the JSON files beside it are found
   * by themselves), of a GGUF file or of a whisper.cpp file (`ggml-base.bin`), or such files as `File`s.
   */
  static async load(source: ModelSource, options: TranscriberLoadOptions = {}): Promise<Transcriber> {
    const { onProgress, signal, worker = typeof Worker === 'function', cache = true, ...rest } = options;
    throwIfAborted(signal);
    checkDevice({ device: rest.device, engine: rest.engine, threads: rest.threads });
    const backend: SpeechBackend = worker ? new WorkerSpeech() : new LocalSpeech();
    const info = await backend.load(describeSource(source), { ...rest, cache }, (progress) => onProgress?.(progress), signal ?? new AbortController().signal);
    onProgress?.({ phase: 'ready', file: '', loadedBytes: 0, totalBytes: 0, fromCache: false });
    return new Transcriber(backend, info);
  }

  /** Where it computes; `info.engine` tells why, and on which GPU. */
  get device(): DeviceName {
    return this.info.engine.device;
  }

  /** Asks the user for the microphone, as a source for {@link transcribe}. */
  static readonly openMicrophone = openMicrophone;

  /**
   * Writes down what is said in `source`: the URL of a sound, a `File` or `Blob`, its bytes, samples (a `Float32Array` at 16 kHz,
   * or `{ samples, sampleRate }`), an `AudioBuffer`, or a live `MediaStream`.
   */
  async transcribe(source: AudioSource, options: TranscribeOptions = {}): Promise<Transcript> {
    const { signal = new AbortController().signal, until, live = {}, onPartial, onSegment, onWord, onSound, onProgress, timestamps = 'segment', temperature, ...rest } = options;
    const backend = this.#check();
    throwIfAborted(signal);
    const engineOptions = {
      ...rest,
      timestamps: timestamps === false ? 'none' : timestamps,
      ...(temperature === undefined ? {} : { temperature: typeof temperature === 'number' ? [temperature] : temperature }),
    };
    const reader = await openAudio(source, signal, until, (sound) => onSound?.(sound));
    const segments: Segment[] = [];
    const onEvent = (event: TranscribeEvent) => {
      if (event.kind === 'progress') return onProgress?.({ seconds: event.seconds, totalSeconds: reader.seconds });
      if (event.kind === 'partial') return onPartial?.(event.partial);
      segments.push(event.segment);
      onSegment?.(event.segment);
      event.segment.words?.forEach((word) => onWord?.(word));
    };
    try {
      const { language, stats } = await backend.transcribe(pullFrom(reader), reader.isLive ? live : undefined, engineOptions, onEvent, signal);
      onProgress?.({ seconds: stats.audioSeconds, totalSeconds: stats.audioSeconds });
      return new Transcript(segments, language, stats);
    } finally {
      reader.close();
    }
  }

  /** Ends the engine and frees its memory; calls that still run reject with a `DisposedError`. */
  dispose(): void {
    this.#isDisposed = true;
    this.#backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #check(): SpeechBackend {
    if (this.#isDisposed) throw new DisposedError();
    return this.#backend;
  }
}

/** The sound of a reader piece by piece. No sound at all is a mistake, unless it was live. */
function pullFrom(reader: AudioReader) {
  let isFirst = true;
  return async () => {
    const samples = await reader.next();
    if (samples === undefined && isFirst && !reader.isLive) throw new InputError('the sound is empty: it has no samples');
    isFirst = false;
    return samples && { samples, sampleRate: reader.sampleRate };
  };
}
