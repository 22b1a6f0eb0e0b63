// One file over HTTP: kept while it arrives, readable while it arrives, resumed by a byte range after a cut.
import { AbortError, FormatError, NetworkError, OutOfMemoryError, StorageError, toVotiveError } from '../errors.js';
import { checkQuota, lookup, openForWriting } from '../storage/cache.js';
import type { StoredEntry, StoredFile } from '../storage/store.js';
import { VisitFile } from '../storage/visit.js';
import type { LoadProgress } from '../types.js';

/** Where the engine reads a file from. */
export interface OpenFile {
  name: string;
  size: number;
  /** Bytes from `offset`: at least one, except at the end of the file, and at most `length`. They are good until the next read. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Resolves when all of the file is there, rejects when it cannot be had. */
  done: Promise<void>;
  close(): Promise<void>;
}

/** What to download. */
export interface Remote {
  name: string;
  url: string;
  /** Its size where the hub says it. */
  size?: number;
  /** The hub id that it belongs to. */
  model?: string;
  token?: string;
}

/** How to download. */
export interface DownloadContext {
  signal: AbortSignal;
  cache: boolean | 'reload';
  onProgress: (progress: LoadProgress) => void;
  /** The most bytes that a file may have. */
  largest?: number;
}

/** A page's memory for WebAssembly: no file that is larger can be loaded. */
export const MEMORY_LIMIT = 2 ** 32;
/** How often a download that broke is taken up again without a byte of progress, and the first wait in milliseconds. */
const RETRIES = 4;
const FIRST_WAIT_MS = 400;
/** Bytes that came last are kept at hand, so that the engine need not read again what was just written. */
const AT_HAND = 8 << 20;
/** Bytes that are fetched at once when they are wanted again. */
const AGAIN = 8 << 20;
/** Milliseconds that a download waits for an engine that takes them as they come; then it goes on without. */
const PATIENCE_MS = 1000;
/** Milliseconds between two reports of progress. */
const REPORT_MS = 50;

/** Opens a file, from the cache or by starting its download; resolves when its size is known. */
export async function openRemote(remote: Remote, context: DownloadContext): Promise<OpenFile> {
  const isKept = context.cache !== false && /^https?:/.test(remote.url);
  if (!isKept) return Download.start(remote, context, new VisitFile());
  if (context.cache !== 'reload') {
    const kept = await fromCache(remote, context);
    if (kept) return kept;
  }
  // One download of a file at a time: another tab or model that wants it too waits, and then finds it in the cache.
  const unlock = await lock(`votive:${remote.url}`, context.signal);
  try {
    const kept = context.cache === 'reload' ? undefined : await fromCache(remote, context);
    if (kept) {
      unlock();
      return kept;
    }
    const download = await Download.start(remote, context, await openForWriting(remote.url));
    const release = () => unlock();
    download.settled.then(release, release);
    return download;
  } catch (error) {
    unlock();
    throw error;
  }
}

async function fromCache(remote: Remote, { onProgress }: DownloadContext): Promise<OpenFile | undefined> {
  const kept = await lookup(remote.url);
  if (!kept) return undefined;
  onProgress({ phase: 'download', file: remote.name, loadedBytes: kept.length, totalBytes: kept.length, fromCache: true });
  return { name: remote.name, size: kept.length, read: (offset, length) => kept.read(offset, length), done: Promise.resolve(), close: () => kept.close() };
}

/** Takes a lock that all pages of the site share; resolves with what releases it. */
async function lock(name: string, signal: AbortSignal): Promise<() => void> {
  const locks = globalThis.navigator?.locks;
  if (!locks) return () => undefined;
  return new Promise((granted, rejected) => {
    locks.request(name, { signal }, () => new Promise<void>((release) => granted(release))).catch(rejected);
  });
}

class Download implements OpenFile {
  readonly name: string;
  size = 0;
  readonly done: Promise<void>;
  #recent: Recent;
  /** Resolves when the download has ended in any way and its file is let go of. */
  readonly settled: Promise<void>;
  readonly #remote: Remote;
  readonly #context: DownloadContext;
  readonly #file: StoredFile;
  readonly #stop = new AbortController();
  #failure: unknown;
  #hasFailed = false;
  #isComplete = false;
  #etag: string | null = null;
  #waiting: { until: number; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #reported = 0;

  static async start(remote: Remote, context: DownloadContext, file: StoredFile): Promise<Download> {
    return new Promise((resolve, reject) => {
      const download: Download = new Download(remote, context, file, () => resolve(download));
      download.done.catch(reject);
    });
  }

  private constructor(remote: Remote, context: DownloadContext, file: StoredFile, onSize: () => void) {
    this.name = remote.name;
    this.#remote = remote;
    this.#context = context;
    this.#file = file;
    this.#recent = new Recent(file);
    const signal = AbortSignal.any([context.signal, this.#stop.signal]);
    this.done = this.#run(signal, onSize);
    this.settled = this.done.then(
      () => undefined,
      async (error: unknown) => {
        this.#failure = error;
        this.#hasFailed = true;
        await file.close();
        for (const { reject } of this.#waiting) reject(error);
      },
    );
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#hasFailed) throw this.#failure;
    if (offset >= this.#file.length && !this.#isComplete) {
      await new Promise<void>((resolve, reject) => this.#waiting.push({ until: offset + 1, resolve, reject }));
    }
    const there = Math.max(0, Math.min(length, this.#file.length - offset));
    const bytes = this.#recent.take(offset, length) ?? (await this.#file.read(offset, there));
    return bytes.length > 0 || there === 0 ? bytes : this.#readAgain(offset, there);
  }

  /** Fetches bytes that were read before and are not kept. */
  async #readAgain(offset: number, length: number): Promise<Uint8Array> {
    const { url } = this.#remote;
    const signal = AbortSignal.any([this.#context.signal, this.#stop.signal]);
    const wanted = Math.min(Math.max(length, AGAIN), this.#file.length - offset);
    const response = await this.#request(offset, signal, offset + wanted);
    if ((response.headers.get('etag') ?? this.#etag) !== this.#etag) {
      await response.body?.cancel();
      throw new FormatError(`${url}: it has changed while it was read`);
    }
    // A server that knows no ranges sends all from the beginning.
    let at = response.status === 206 ? offset : 0;
    const bytes = new Uint8Array(wanted);
    const reader = response.body?.getReader();
    for (let filled = 0; reader && filled < wanted; ) {
      const lost = (cause?: unknown) => new NetworkError(url, `bytes ${offset} to ${offset + wanted} could not be had again`, undefined, { cause });
      const { done, value } = await reader.read().catch((cause: unknown) => Promise.reject(lost(cause)));
      if (done) throw lost();
      const part = value.subarray(Math.max(0, offset - at), offset + wanted - at);
      bytes.set(part, filled);
      filled += part.length;
      at += value.length;
    }
    await reader?.cancel();
    this.#file.keep?.(offset, bytes, false);
    return bytes.subarray(0, length);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.settled;
    if (!this.#hasFailed) await this.#file.close();
  }

  async #run(signal: AbortSignal, onSize: () => void): Promise<void> {
    const { url } = this.#remote;
    const known = this.#file.entry;
    let resumeFrom = 0;
    if (this.#context.cache !== 'reload' && known && !known.complete && !isSmall(this.name)) {
      resumeFrom = this.#file.length;
      this.#etag = known.etag;
      this.size = known.size;
    }
    for (let failures = 0; ; ) {
      const before = resumeFrom;
      try {
        await this.#attempt(resumeFrom, signal, onSize);
        this.#isComplete = true;
        this.#wake();
        await this.#file.finish(this.#entry(true));
        this.#report(true);
        onSize();
        return;
      } catch (error) {
        if (signal.aborted) throw new AbortError(undefined, { cause: error });
        const known = (error as DOMException).name === 'QuotaExceededError' ? this.#quotaError(error) : error;
        resumeFrom = isSmall(this.name) ? 0 : this.#file.length;
        failures = resumeFrom > before ? 1 : failures + 1;
        const isWorthAnother = known instanceof NetworkError && (known.status === undefined || known.status >= 500 || known.status === 416);
        if (!isWorthAnother || failures > RETRIES) throw known instanceof NetworkError ? known : toVotiveError(known);
        if (known.status === 416) resumeFrom = 0;
        await wait(FIRST_WAIT_MS * 2 ** (failures - 1), signal);
      }
    }

    function isSmall(name: string): boolean {
      // Such files may travel compressed, and a range of that is not a range of the file.
      return /\.(json|jinja|txt)$/.test(name) || url.startsWith('data:') || url.startsWith('blob:');
    }
  }

  /** One request, and all of its bytes. */
  async #attempt(resumeFrom: number, signal: AbortSignal, onSize: () => void): Promise<void> {
    const { url, size: promised } = this.#remote;
    const response = await this.#request(resumeFrom, signal);
    const isPart = response.status === 206;
    const bodySize = Number(response.headers.get('content-length') ?? 0);
    const isEncoded = !['', 'identity'].includes(response.headers.get('content-encoding') ?? '');
    const rangeTotal = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0);
    const etag = response.headers.get('etag');
    const total = rangeTotal || (isEncoded || bodySize === 0 ? 0 : bodySize + (isPart ? resumeFrom : 0));
    const isSame = !isPart || ((!this.#etag || !etag || this.#etag === etag) && (!this.size || !total || this.size === total));
    if (!isSame) {
      // The file has changed since: what is there is of no use.
      await response.body?.cancel();
      this.#etag = null;
      this.size = 0;
      return this.#attempt(0, signal, onSize);
    }
    if (promised !== undefined && total > 0 && promised !== total) {
      await response.body?.cancel();
      throw new FormatError(`${url}: it has ${total} bytes where the hub lists ${promised}`);
    }
    this.size = promised ?? (total || (isPart ? this.size : 0));
    if (this.size > (this.#context.largest ?? Infinity)) {
      await response.body?.cancel();
      throw new OutOfMemoryError(`${this.name} has ${this.size} bytes; WebAssembly can hold ${MEMORY_LIMIT} (4 GiB) with everything. Take a smaller model or quantization.`);
    }
    this.#etag = etag;
    const isResumed = isPart && resumeFrom > 0;
    if (this.#context.cache !== false) await checkQuota(url, this.size - (isResumed ? resumeFrom : 0)).catch(async (error: unknown) => (await response.body?.cancel(), Promise.reject(error)));
    await this.#file.begin(this.#entry(false), isResumed);
    if (!isResumed) this.#recent = new Recent(this.#file);
    if (this.size > 0) onSize();
    this.#report(true);

    const reader = response.body?.getReader();
    while (reader) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new NetworkError(url, `the connection broke after ${this.#file.length} of ${this.size || 'an unknown number of'} bytes`, undefined, { cause });
      });
      if (signal.aborted) await reader.cancel();
      signal.throwIfAborted();
      if (done) break;
      const at = this.#file.length;
      await this.#file.append(value);
      this.#recent.add(at, value);
      this.#wake();
      this.#report(false);
      await this.#recent.makeRoom(this.#waiting.length === 0);
    }
    const received = this.#file.length;
    if (this.size === 0 || (promised === undefined && received > this.size && !isResumed)) this.size = received; // unknown, or told of the compressed form
    if (received < this.size) throw new NetworkError(url, `the connection ended after ${received} of ${this.size} bytes`);
    if (received > this.size) throw new FormatError(`${url}: ${received} bytes arrived where ${this.size} were promised`);
  }

  /** Asks for the file, or its bytes from `start` on, before `end`. */
  async #request(start: number, signal: AbortSignal, end?: number): Promise<Response> {
    const { url, token } = this.#remote;
    const headers: Record<string, string> = {};
    if (start > 0 || end !== undefined) {
      headers['Range'] = `bytes=${start}-${end === undefined ? '' : end - 1}`;
      // Across origins this header would need a permission that file hosts do not give; there the answer's ETag is compared.
      const isSameOrigin = url.startsWith(`${globalThis.location?.origin ?? 'http'}`);
      if (this.#etag && !this.#etag.startsWith('W/') && isSameOrigin) headers['If-Range'] = this.#etag;
    }
    if (token) headers['Authorization'] = `Bearer ${token}`;
    const response = await fetchOrExplain(url, { headers, signal, cache: 'no-store' });
    if (response.ok) return response;
    await response.body?.cancel();
    throw new NetworkError(url, statusText(response), response.status);
  }

  #entry(complete: boolean): StoredEntry {
    const { url, model } = this.#remote;
    return { url, size: this.size, etag: this.#etag, complete, savedAt: Date.now(), ...(model === undefined ? {} : { model }) };
  }

  #quotaError(cause: unknown): StorageError {
    return new StorageError(
      `${this.#remote.url}: the browser's storage is full after ${this.#file.length} of ${this.size} bytes. Free some with clearCache() or deleteFromCache(), or load with cache: false.`,
      { cause },
    );
  }

  #wake(): void {
    const isReady = ({ until }: { until: number }) => this.#isComplete || until <= this.#file.length;
    const ready = this.#waiting.filter(isReady);
    this.#waiting = this.#waiting.filter((waiting) => !isReady(waiting));
    for (const { resolve } of ready) resolve();
  }

  #report(isDue: boolean): void {
    const now = performance.now();
    if (!isDue && now - this.#reported < REPORT_MS) return;
    this.#reported = now;
    this.#context.onProgress({ phase: 'download', file: this.name, loadedBytes: this.#file.length, totalBytes: this.size, fromCache: false });
  }
}

/** The bytes that came last, in the pieces in which they came. */
class Recent {
  readonly #file: StoredFile;
  #pieces: { start: number; bytes: Uint8Array; read: number }[] = [];
  #length = 0;
  /** How far the engine has read. */
  #readTo = 0;
  #onRoom: (() => void) | undefined;
  /** Whether the engine reads what comes, as it comes: not while it reads another file, or far behind. */
  #isFollowed = true;

  constructor(file: StoredFile) {
    this.#file = file;
  }

  add(start: number, bytes: Uint8Array): void {
    this.#pieces.push({ start, bytes, read: 0 });
    this.#length += bytes.length;
  }

  /** Bytes from `offset` on when they are here. */
  take(offset: number, length: number): Uint8Array | undefined {
    const piece = this.#pieces.find(({ start, bytes }) => offset >= start && offset < start + bytes.length);
    this.#isFollowed = piece !== undefined;
    if (!piece) return undefined;
    const bytes = piece.bytes.subarray(offset - piece.start, offset - piece.start + length);
    piece.read += bytes.length;
    this.#readTo = Math.max(this.#readTo, offset + bytes.length);
    if (this.#hasReadFirst()) this.#onRoom?.();
    return bytes;
  }

  /** Makes room for more: of what the engine has left behind; then, if it `mayWait`, as the engine goes on; then of what is oldest. */
  async makeRoom(mayWait: boolean): Promise<void> {
    while (this.#length > AT_HAND) {
      if (mayWait && this.#isFollowed && !this.#hasReadFirst()) {
        this.#isFollowed = await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => resolve(false), PATIENCE_MS);
          this.#onRoom = () => (clearTimeout(timer), resolve(true));
        });
        this.#onRoom = undefined;
      }
      const { start, bytes, read } = this.#pieces.shift()!;
      this.#length -= bytes.length;
      this.#file.keep?.(start, bytes, read >= bytes.length);
    }
  }

  /** Weights of a layer are read in another order than they come: what lies behind is let go of only when room is needed. */
  #hasReadFirst(): boolean {
    const first = this.#pieces[0];
    return first !== undefined && first.start + first.bytes.length <= this.#readTo;
  }
}

/** Waits, or rejects when `signal` says stop. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), reject(new AbortError())), { once: true });
  });
}

/** `fetch`, with an error that says what may be wrong. */
export async function fetchOrExplain(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw new AbortError(undefined, { cause });
    throw new NetworkError(url, 'could not be reached: there is no network, no such server, or the server does not allow this page to read it (CORS)', undefined, { cause });
  }
}

/** What an answer other than success means. */
export function statusText({ status, statusText }: Response): string {
  const meaning: Record<number, string> = {
    401: 'not authorized: it does not exist, or it is private or gated and needs options.token',
    403: 'forbidden: it is private or gated; accept its terms on the hub and pass options.token',
    404: 'there is no such file',
    429: 'too many requests: the server asks to wait',
  };
  return `HTTP ${status}${meaning[status] ? `, ${meaning[status]}` : ` ${statusText}`}`;
}
