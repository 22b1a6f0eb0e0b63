// The engine for speech: in this thread, or in a Worker of its own.
import type { Piece } from './audio/reader.js';
import { throwIfAborted } from './errors.js';
import { every, type FileOptions, LocalEngine, turns } from './local.js';
import { WorkerLink } from './remote.js';
import type { SourceSpec } from './source/resolve.js';
import type { EngineSpeechStep, EngineTranscriber, EngineTranscription } from './speech_module.js';
import type { Partial, Segment, TranscriptionStats } from './transcript.js';
import type { EngineInfo, LoadProgress } from './types.js';

/** What is known of a loaded speech model. */
export interface TranscriberInfo {
  /** Codes of the languages that it knows; empty for models that know English only. */
  languages: string[];
  /** Mel bins of a frame: 80, or 128 for large-v3 and its descendants. */
  melBins: number;
  encoderLayers: number;
  decoderLayers: number;
  /** Width of encoder and decoder. */
  width: number;
  vocabSize: number;
  /** Bytes of the engine's memory after loading. */
  memoryBytes: number;
  /** Which build of the engine runs. */
  engine: EngineInfo;
}

/** The options of loading that the engine sees. */
export interface SpeechLoadOptions extends FileOptions {
  quantize?: string | undefined;
}

/** What happens while sound is transcribed. */
export type TranscribeEvent = { kind: 'progress'; seconds: number } | { kind: 'partial'; partial: Partial } | { kind: 'segment'; segment: Segment };

/** How a transcription ended. */
export interface TranscribeOutcome {
  language: string;
  stats: TranscriptionStats;
}

/** Gives the next sound, `undefined` at its end. */
export type Pull = () => Promise<Piece | undefined>;

/** One speech model: what the page's side calls, whether there is a Worker in between or not. */
export interface SpeechBackend {
  load(source: SourceSpec, options: SpeechLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<TranscriberInfo>;
  /** `live`: how to listen to live sound, which is taken as soon as it is there, and not only when the engine has done with what it has. */
  transcribe(pull: Pull, live: object | undefined, options: object, onEvent: (event: TranscribeEvent) => void, signal: AbortSignal): Promise<TranscribeOutcome>;
  dispose(): void;
}

/** Milliseconds between two reports of progress. */
const REPORT_MS = 50;

/** The engine in this thread. */
export class LocalSpeech extends LocalEngine<'speech', EngineTranscriber> implements SpeechBackend {
  constructor() {
    super('speech');
  }

  async load(source: SourceSpec, options: SpeechLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<TranscriberInfo> {
    const { quantize } = options;
    await this.loadFiles(source, options, onProgress, signal, ({ WasmTranscriber }, files, device, onWeights, isAborted) =>
      WasmTranscriber.load(files, { device, ...(quantize === undefined ? {} : { quantize }) }, onWeights, isAborted),
    );
    return { ...this.guard(() => this.loaded().info()), engine: this.engine(this.loaded().adapter()) };
  }

  transcribe(pull: Pull, live: object | undefined, options: object, onEvent: (event: TranscribeEvent) => void, signal: AbortSignal): Promise<TranscribeOutcome> {
    return this.inTurn(signal, async () => {
      const running = this.guard(() => (live ? this.loaded().startLive(options, live) : this.loaded().start(options)));
      const sound = new Sound(pull, signal);
      const turn = turns();
      const report = every(REPORT_MS, onEvent);
      let busyMs = 0;
      try {
        for (;;) {
          await turn();
          throwIfAborted(signal);
          if (live && sound.isReady()) this.#feed(running, await sound.take());
          const start = performance.now();
          const step = await running.step().catch((error: unknown) => {
            throw this.engineError(error);
          });
          busyMs += performance.now() - start;
          if (step.kind === 'needAudio') this.#feed(running, await sound.take());
          else if (step.kind === 'working') report({ kind: 'progress', seconds: step.position });
          else if (step.kind === 'segment' || step.kind === 'partial') onEvent(step);
          else return outcome(step, busyMs / 1000);
        }
      } finally {
        if (!this.isLost) running.free();
      }
    });
  }

  #feed(running: EngineTranscription, piece: Piece | undefined): void {
    this.guard(() => (piece ? running.push(piece.samples, piece.sampleRate) : running.finish()));
  }
}

/** Sound that is asked for ahead, by one piece. */
class Sound {
  readonly #pull: Pull;
  readonly #aborted: Promise<never>;
  #coming: Promise<Piece | undefined> | undefined;
  #isHere = false;
  #isOver = false;

  constructor(pull: Pull, signal: AbortSignal) {
    this.#pull = pull;
    this.#aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    this.#aborted.catch(() => undefined);
  }

  /** Whether there is something to take without waiting. */
  isReady(): boolean {
    if (this.#isOver) return false;
    this.#ask();
    return this.#isHere;
  }

  async take(): Promise<Piece | undefined> {
    const piece = await Promise.race([this.#ask(), this.#aborted]);
    this.#coming = undefined;
    this.#isHere = false;
    this.#isOver = piece === undefined;
    return piece;
  }

  #ask(): Promise<Piece | undefined> {
    this.#coming ??= this.#pull().then((piece) => {
      this.#isHere = true;
      return piece;
    });
    // Who takes it hears of what went wrong.
    this.#coming.catch(() => (this.#isHere = true));
    return this.#coming;
  }
}

function outcome({ language, memoryBytes, stats }: EngineSpeechStep & { kind: 'done' }, seconds: number): TranscribeOutcome {
  return { language, stats: { ...stats, seconds, speed: seconds > 0 ? stats.audioSeconds / seconds : 0, memoryBytes } };
}

/** The engine in a Worker of its own. */
export class WorkerSpeech extends WorkerLink implements SpeechBackend {
  load(source: SourceSpec, options: SpeechLoadOptions, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<TranscriberInfo> {
    return this.loadIn({ method: 'loadSpeech', source, options }, onProgress, signal);
  }

  transcribe(pull: Pull, live: object | undefined, options: object, onEvent: (event: TranscribeEvent) => void, signal: AbortSignal): Promise<TranscribeOutcome> {
    return this.call({ method: 'transcribe', live, options }, signal, { onEvent, pull });
  }
}
