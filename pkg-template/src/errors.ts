/** What kind of error it is; stable, for programs. */
export type ErrorCode =
  | 'aborted'
  | 'network'
  | 'not-found'
  | 'unauthorized'
  | 'format'
  | 'unsupported'
  | 'out-of-memory'
  | 'storage'
  | 'input'
  | 'permission'
  | 'disposed'
  | 'device'
  | 'device-lost'
  | 'crashed';

/** The class of all errors that this package makes. */
export class VotiveError extends Error {
  /** What kind of error it is. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The caller stopped the call. Its `name` is `'AbortError'`, as that of the platform's own. */
export class AbortError extends VotiveError {
  constructor(message = 'The call was aborted', options?: ErrorOptions) {
    super('aborted', message, options);
    this.name = 'AbortError';
  }
}

/** A download failed, or what arrived is not what was promised. */
export class NetworkError extends VotiveError {
  /** The address. */
  readonly url: string;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;

  constructor(url: string, message: string, status?: number, options?: ErrorOptions) {
    super(status === 404 ? 'not-found' : status === 401 || status === 403 ? 'unauthorized' : 'network', `${url}: ${message}`, options);
    this.name = 'NetworkError';
    this.url = url;
    this.status = status;
  }
}

/** A file is not what it claims to be. */
export class FormatError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('format', message, options);
    this.name = 'FormatError';
  }
}

/** A model, an option or a browser that this version cannot work with. */
export class UnsupportedError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('unsupported', message, options);
    this.name = 'UnsupportedError';
  }
}

/** The model does not fit into the memory that a page can have. */
export class OutOfMemoryError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('out-of-memory', message, options);
    this.name = 'OutOfMemoryError';
  }
}

/** The browser's storage is full or refuses. */
export class StorageError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('storage', message, options);
    this.name = 'StorageError';
  }
}

/** An argument is not usable. */
export class InputError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('input', message, options);
    this.name = 'InputError';
  }
}

/** The user or the browser refused the microphone. */
export class PermissionError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('permission', message, options);
    this.name = 'PermissionError';
  }
}

/** The GPU refuses what it was told to do: a fault of this package or of the browser's driver. */
export class DeviceError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('device', message, options);
    this.name = 'DeviceError';
  }
}

/** The GPU went away: it was reset or unplugged. `model.reload()` loads the model again, from the browser's storage. */
export class DeviceLostError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('device-lost', message, options);
    this.name = 'DeviceLostError';
  }
}

/** The model was disposed of. */
export class DisposedError extends VotiveError {
  constructor(message = 'The model was disposed of', options?: ErrorOptions) {
    super('disposed', message, options);
    this.name = 'DisposedError';
  }
}

/** The engine itself failed: the model is lost and has to be loaded again. */
export class CrashError extends VotiveError {
  constructor(message: string, options?: ErrorOptions) {
    super('crashed', message, options);
    this.name = 'CrashError';
  }
}

/** An error as it travels from the Worker. */
export interface WireError {
  code: ErrorCode;
  message: string;
  url?: string;
  status?: number | undefined;
}

/** An error in a form that can be posted. */
export function toWire(error: unknown): WireError {
  const known = toVotiveError(error);
  if (known instanceof NetworkError) {
    return { code: known.code, message: known.message.slice(known.url.length + 2), url: known.url, status: known.status };
  }
  return { code: known.code, message: known.message };
}

/** The error that {@link toWire} wrote. */
export function fromWire(wire: WireError): VotiveError {
  return wire.url === undefined ? byCode(wire.code, wire.message) : new NetworkError(wire.url, wire.message, wire.status);
}

function byCode(code: ErrorCode, message: string, options?: ErrorOptions): VotiveError {
  switch (code) {
    case 'aborted':
      return new AbortError(message, options);
    case 'format':
      return new FormatError(message, options);
    case 'unsupported':
      return new UnsupportedError(message, options);
    case 'out-of-memory':
      return new OutOfMemoryError(message, options);
    case 'storage':
      return new StorageError(message, options);
    case 'input':
      return new InputError(message, options);
    case 'device':
      return new DeviceError(message, options);
    case 'device-lost':
      return new DeviceLostError(message, options);
    case 'disposed':
      return new DisposedError(message, options);
    case 'crashed':
      return new CrashError(message, options);
    default:
      return new VotiveError(code, message, options);
  }
}

/** The code for each kind of error that the engine names in `Error.kind`. */
const ENGINE_KINDS: Record<string, ErrorCode> = {
  aborted: 'aborted',
  argument: 'input',
  device: 'device',
  'device-lost': 'device-lost',
  dtype: 'input',
  format: 'format',
  http: 'network',
  io: 'network',
  'out-of-memory': 'out-of-memory',
  panic: 'crashed',
  shape: 'input',
  text: 'input',
  unsupported: 'unsupported',
  weight: 'format',
};

/** Whatever was thrown, as one of this package's errors. */
export function toVotiveError(error: unknown): VotiveError {
  if (error instanceof VotiveError) return error;
  const { name, message, kind } = (error ?? {}) as { name?: string; message?: string; kind?: string };
  const text = message ?? String(error);
  const options = { cause: error };
  if (kind !== undefined && kind in ENGINE_KINDS) return byCode(ENGINE_KINDS[kind] as ErrorCode, text, options);
  if (name === 'AbortError') return new AbortError(undefined, options);
  if (name === 'QuotaExceededError') return new StorageError(text, options);
  // A trap in WebAssembly: the engine panicked, and its memory cannot be trusted any more.
  if (typeof WebAssembly !== 'undefined' && error instanceof WebAssembly.RuntimeError) return new CrashError(`The engine crashed: ${text}`, options);
  if (error instanceof RangeError && /memory|allocation|array buffer/i.test(text)) return new OutOfMemoryError(text, options);
  return new CrashError(text, options);
}

/** What a call rejects with when its signal says stop: an {@link AbortError}, or the caller's own reason. */
export function abortReason(signal: AbortSignal): unknown {
  const reason: unknown = signal.reason;
  const isPlain = reason === undefined || (reason as { name?: string } | null)?.name === 'AbortError';
  return isPlain ? new AbortError(undefined, { cause: reason }) : reason;
}

/** Throws when `signal` says stop. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}
