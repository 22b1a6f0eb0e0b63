// Live sound: a MediaStream, through an AudioWorklet.
import { InputError, PermissionError, UnsupportedError } from '../errors.js';
import type { AudioReader, Piece } from './reader.js';

/** Which microphone, and how it is to be heard. */
export interface MicrophoneOptions {
  /** Of `navigator.mediaDevices.enumerateDevices()`. Default: the browser's choice. */
  deviceId?: string;
  /** What the browser does to the sound. Default: `true` for all three. */
  echoCancellation?: boolean;
  noiseSuppression?: boolean;
  autoGainControl?: boolean;
}

/** Asks for the microphone. End it by stopping its tracks: `stream.getTracks().forEach((track) => track.stop())`. */
export async function openMicrophone({ deviceId, ...processing }: MicrophoneOptions = {}): Promise<MediaStream> {
  if (!globalThis.navigator?.mediaDevices?.getUserMedia) {
    throw new UnsupportedError('There is no access to a microphone here: pages have it on https: and localhost only, outside of frames that may not use it');
  }
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...processing, ...(deviceId === undefined ? {} : { deviceId: { exact: deviceId } }) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (cause) {
    const { name, message } = cause as DOMException;
    if (name === 'NotAllowedError' || name === 'SecurityError') {
      throw new PermissionError('The microphone may not be used: the permission was refused. It can be given in the settings of this page, beside its address', { cause });
    }
    if (name === 'NotFoundError' || name === 'OverconstrainedError') throw new UnsupportedError('No microphone was found', { cause });
    throw new UnsupportedError(`The microphone does not work: ${message}; another program may be using it`, { cause });
  }
}

/** Listens to a stream until it ends or `until` says so; `onSound` hears it as it comes. */
export async function openLive(stream: MediaStream, until: AbortSignal | undefined, onSound: (sound: Piece) => void): Promise<AudioReader> {
  const tracks = stream.getAudioTracks();
  if (tracks.length === 0) throw new InputError('the MediaStream has no sound: it has no audio track');
  const context = new AudioContext();
  const { sampleRate } = context;
  const waiting: Float32Array[] = [];
  let count = 0;
  let isOver = false;
  let wake = () => {};
  const end = () => {
    if (isOver) return;
    isOver = true;
    tracks.forEach((track) => track.removeEventListener('ended', end));
    until?.removeEventListener('abort', end);
    void context.close();
    wake();
  };
  try {
    await context.audioWorklet.addModule(new URL('./microphone-worklet.js', import.meta.url));
  } catch (cause) {
    void context.close();
    throw new UnsupportedError('The sound cannot be listened to: the AudioWorklet of this package could not be loaded', { cause });
  }
  const capture = new AudioWorkletNode(context, 'votive-capture', { numberOfOutputs: 0 });
  capture.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
    // A track that the page stops itself tells nobody.
    if (tracks.every((track) => track.readyState === 'ended')) return end();
    if (isOver) return;
    onSound({ samples: data, sampleRate });
    waiting.push(data);
    count += data.length;
    wake();
  };
  context.createMediaStreamSource(stream).connect(capture);
  tracks.forEach((track) => track.addEventListener('ended', end));
  until?.addEventListener('abort', end);
  if (until?.aborted) end();
  // A page that was not clicked on may not run it yet; it runs once it is.
  void context.resume();
  return {
    sampleRate,
    seconds: undefined,
    isLive: true,
    async next() {
      while (waiting.length === 0 && !isOver) await new Promise<void>((resolve) => (wake = resolve));
      if (waiting.length === 0) return undefined;
      const piece = new Float32Array(count);
      let at = 0;
      for (const part of waiting.splice(0)) {
        piece.set(part, at);
        at += part.length;
      }
      count = 0;
      return piece;
    },
    close: end,
  };
}
