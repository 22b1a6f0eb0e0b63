// Files as a row of pieces in the Cache API, where there is no private file system to write to.
import type { Store, StoredEntry, StoredFile } from './store.js';

/** Bytes of a piece. */
const PIECE = 8 << 20;

/** Where pieces are put. */
interface Pieces {
  put(index: number, piece: Blob): Promise<void>;
  get(index: number): Promise<Blob | undefined>;
  /** Removes everything. */
  clear(): Promise<void>;
  note(entry: StoredEntry): Promise<void>;
}

/** The store in the Cache API, or `undefined` where there is none. */
export async function cacheApiStore(): Promise<Store | undefined> {
  try {
    return new CacheApiStore(await caches.open('votive'));
  } catch {
    return undefined;
  }
}

class CacheApiStore implements Store {
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  async lookup(url: string): Promise<StoredFile | undefined> {
    const entry = await this.#entry(url);
    return entry?.complete ? new PieceFile(this.#pieces(url), entry, entry.size) : undefined;
  }

  async open(url: string): Promise<StoredFile> {
    let whole = 0;
    while (await this.#cache.match(address(url, whole))) whole++;
    return new PieceFile(this.#pieces(url), await this.#entry(url), whole * PIECE);
  }

  async list(): Promise<(StoredEntry & { storedBytes: number })[]> {
    const keys = (await this.#cache.keys()).map((request) => request.url);
    const entries = await Promise.all(keys.filter((key) => key.endsWith('/entry')).map(async (key) => (await (await this.#cache.match(key))?.json()) as StoredEntry));
    return entries.map((entry) => {
      const stored = keys.filter((key) => key.startsWith(address(entry.url, ''))).length - 1;
      return { ...entry, storedBytes: entry.complete ? entry.size : stored * PIECE };
    });
  }

  async delete(url: string): Promise<boolean> {
    const keys = (await this.#cache.keys()).filter((request) => request.url.startsWith(address(url, '')));
    await Promise.all(keys.map((key) => this.#cache.delete(key)));
    return keys.length > 0;
  }

  async #entry(url: string): Promise<StoredEntry | undefined> {
    return (await (await this.#cache.match(address(url, 'entry')))?.json()) as StoredEntry | undefined;
  }

  #pieces(url: string): Pieces {
    const cache = this.#cache;
    return {
      put: (index, piece) => cache.put(address(url, index), new Response(piece)),
      get: async (index) => (await cache.match(address(url, index)))?.blob(),
      clear: async () => void (await this.delete(url)),
      note: (entry) => cache.put(address(url, 'entry'), new Response(JSON.stringify(entry))),
    };
  }
}

/** The address of a piece in the cache: it names no real site. */
function address(url: string, part: number | string): string {
  return `https://votive.invalid/${encodeURIComponent(url)}/${part}`;
}

class PieceFile implements StoredFile {
  entry: StoredEntry | undefined;
  length: number;
  readonly #pieces: Pieces;
  /** What is not a whole piece yet. */
  #tail: Uint8Array[] = [];
  #tailLength = 0;

  constructor(pieces: Pieces, entry: StoredEntry | undefined, length: number) {
    this.#pieces = pieces;
    this.entry = entry;
    this.length = length;
  }

  async begin(entry: StoredEntry, keep: boolean): Promise<void> {
    if (!keep) {
      await this.#pieces.clear();
      this.length = 0;
      this.#tail = [];
      this.#tailLength = 0;
    }
    this.entry = entry;
    await this.#pieces.note(entry);
  }

  async append(chunk: Uint8Array): Promise<void> {
    while (chunk.length > 0) {
      const part = chunk.subarray(0, PIECE - this.#tailLength);
      this.#tail.push(part);
      this.#tailLength += part.length;
      this.length += part.length;
      chunk = chunk.subarray(part.length);
      if (this.#tailLength === PIECE) await this.#flush();
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = offset + length;
    const parts: Blob[] = [];
    for (let index = Math.floor(offset / PIECE); index * PIECE < end; index++) {
      const start = index * PIECE;
      const piece = (await this.#pieces.get(index)) ?? this.#tailBlob(start);
      parts.push(piece.slice(Math.max(0, offset - start), end - start));
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  async finish(entry: StoredEntry): Promise<void> {
    if (this.#tailLength > 0) await this.#flush();
    this.entry = entry;
    await this.#pieces.note(entry);
  }

  async close(): Promise<void> {}

  async #flush(): Promise<void> {
    await this.#pieces.put(Math.floor((this.length - 1) / PIECE), this.#tailBlob(this.length - this.#tailLength));
    this.#tail = [];
    this.#tailLength = 0;
  }

  /** The bytes that are no piece yet, when they begin at `start`. */
  #tailBlob(start: number): Blob {
    return new Blob(start === this.length - this.#tailLength ? (this.#tail as Uint8Array<ArrayBuffer>[]) : []);
  }
}
