// What a transcription gives, and the files that are made of it.

/** A word and when it was said. */
export interface Word {
  /** With the space before it and the punctuation around it: the words of a segment joined are its text. */
  text: string;
  /** Seconds from the beginning of the sound. */
  start: number;
  end: number;
  /** How sure the model is, from 0 to 1. */
  probability: number;
}

/** A piece of speech, usually a sentence or part of one. */
export interface Segment {
  /** Counted from 0. */
  id: number;
  /** Seconds from the beginning of the sound. */
  start: number;
  end: number;
  /** With the space before it, if the language has spaces. */
  text: string;
  /** Token ids, timestamps among them. */
  tokens: number[];
  /** With `timestamps: 'word'`. */
  words?: Word[];
  /** What it was decoded at: 0 unless its text had to be refused. */
  temperature: number;
  averageLogProbability: number;
  /** Above 2.4 a text repeats itself. */
  compressionRatio: number;
  /** How likely it is that nobody speaks; `null` when the model cannot say. */
  noSpeechProbability: number | null;
}

/** Text of live sound that is not final yet. */
export interface Partial {
  /** Seconds from the beginning of the sound at which the text begins. */
  start: number;
  /** Seconds up to which sound was heard. */
  end: number;
  /** The beginning of the text, which stays as it is. */
  committed: string;
  /** What follows, which may change. */
  text: string;
}

/** What a transcription cost. */
export interface TranscriptionStats {
  /** Length of the sound in seconds. */
  audioSeconds: number;
  /** Seconds that the engine worked. */
  seconds: number;
  /** How many times faster than the sound: `audioSeconds / seconds`. */
  speed: number;
  /** Windows of 30 seconds heard. */
  windows: number;
  /** Tokens decoded, those of refused texts included. */
  tokens: number;
  /** Texts that were refused and decoded again. */
  fallbacks: number;
  /** Milliseconds in the encoder, in the decoder, and for aligning words. */
  encodeMs: number;
  decodeMs: number;
  alignMs: number;
  /** Bytes of the engine's memory. It never shrinks: this is also the peak. */
  memoryBytes: number;
}

/** What a subtitle file is made of. */
export interface SubtitleOptions {
  /** A subtitle for each word (SRT), or the time of each word within the subtitles (VTT). Default `false`. */
  words?: boolean;
}

/** A finished transcription. `JSON.stringify` writes all of it. */
export class Transcript {
  /** All that was said. */
  readonly text: string;
  /** Code of the language, given or detected: `'en'`, `'de'` … Empty when there was nothing to hear. */
  readonly language: string;
  /** Length of the sound in seconds. */
  readonly duration: number;
  /** In order of time. */
  readonly segments: Segment[];
  readonly stats: TranscriptionStats;

  /** @internal */
  constructor(segments: Segment[], language: string, stats: TranscriptionStats) {
    this.segments = segments;
    this.text = segments.map((segment) => segment.text).join('').trim();
    this.language = language;
    this.duration = stats.audioSeconds;
    this.stats = stats;
  }

  /** The words of all segments; empty unless `timestamps: 'word'` asked for them. */
  get words(): Word[] {
    return this.segments.flatMap((segment) => segment.words ?? []);
  }

  /** A line for each segment. */
  toText(): string {
    return toText(this.segments);
  }

  /** SubRip subtitles. */
  toSRT(options?: SubtitleOptions): string {
    return toSRT(this.segments, options);
  }

  /** WebVTT subtitles. */
  toVTT(options?: SubtitleOptions): string {
    return toVTT(this.segments, options);
  }

  /** Plain data. */
  toJSON(): { text: string; language: string; duration: number; segments: Segment[]; stats: TranscriptionStats } {
    const { text, language, duration, segments, stats } = this;
    return { text, language, duration, segments, stats };
  }
}

type Cue = Pick<Segment, 'start' | 'end' | 'text' | 'words'>;

/** A line for each segment. */
export function toText(segments: readonly Cue[]): string {
  return segments.map(({ text }) => `${text.trim()}\n`).join('');
}

/** SubRip subtitles of segments, which may have been edited. */
export function toSRT(segments: readonly Cue[], { words = false }: SubtitleOptions = {}): string {
  const cues = segments.flatMap((segment): Cue[] => (words && segment.words?.length ? segment.words : [segment]));
  // An arrow would end the text of a subtitle.
  const line = (text: string) => text.trim().replaceAll('-->', '->');
  return cues.map(({ start, end, text }, i) => `${i + 1}\n${time(start, ',', true)} --> ${time(end, ',', true)}\n${line(text)}\n\n`).join('');
}

/** WebVTT subtitles of segments, which may have been edited. */
export function toVTT(segments: readonly Cue[], { words = false }: SubtitleOptions = {}): string {
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const timed = (list: Word[]) => list.map(({ start, text }, i) => (i === 0 ? escaped(text.trimStart()) : `<${time(start, '.')}><c>${escaped(text)}</c>`)).join('');
  const cue = ({ start, end, text, words: list }: Cue) => `${time(start, '.')} --> ${time(end, '.')}\n${words && list?.length ? timed(list) : escaped(text.trim())}\n\n`;
  return `WEBVTT\n\n${segments.map(cue).join('')}`;
}

/** `00:01:02,345`; hours only if there are any, or `hours` says so. */
function time(seconds: number, separator: string, hours = false): string {
  const ms = Math.round(Math.max(seconds, 0) * 1000);
  const part = (value: number, width = 2) => String(value).padStart(width, '0');
  const [h, m, s] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60];
  return `${hours || h > 0 ? `${part(h)}:` : ''}${part(m)}:${part(s)}${separator}${part(ms % 1000, 3)}`;
}
