// A file for this visit only: no copy is made of what the engine takes as it comes.
import type { StoredEntry, StoredFile } from './store.js';

/** The beginning of a file is read more than once (its header: to measure devices, then to load). */
const HEAD = 8 << 20;
/** Bytes that become one Blob: its bytes are the browser's to hold, not JavaScript's, and it may put them on disk. */
const PIECE = 8 << 20;

interface Piece {
  start: number;
  bytes: Blob;
}

/** A file that keeps its head, and what went by without being read; the rest must be fetched again by who wants it again. */
export class VisitFile implements StoredFile {
  entry: StoredEntry | undefined;
  length = 0;
  #pieces: Piece[] = [];
  /** What is to become the next piece, without gaps, and where it begins. */
  #tail: Uint8Array[] = [];
  #tailStart = 0;
  #tailLength = 0;

  async begin(entry: StoredEntry, keep: boolean): Promise<void> {
    if (!keep) {
      this.length = 0;
      this.#pieces = [];
      this.#tail = [];
      this.#tailLength = 0;
    }
    this.entry = entry;
  }

  append(chunk: Uint8Array): void {
    this.length += chunk.length;
  }

  keep(start: number, bytes: Uint8Array, isRead: boolean): void {
    if (isRead && start >= HEAD) return;
    if (start !== this.#tailStart + this.#tailLength) this.#flush();
    if (this.#tailLength === 0) this.#tailStart = start;
    this.#tail.push(bytes);
    this.#tailLength += bytes.length;
    if (this.#tailLength >= PIECE) this.#flush();
  }

  /** Bytes as far as they are kept in one piece; none where they are not. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset >= this.#tailStart && offset < this.#tailStart + this.#tailLength) this.#flush();
    const piece = this.#pieces.find(({ start, bytes }) => offset >= start && offset < start + bytes.size);
    if (!piece) return new Uint8Array();
    return new Uint8Array(await piece.bytes.slice(offset - piece.start, offset - piece.start + length).arrayBuffer());
  }

  async finish(entry: StoredEntry): Promise<void> {
    this.entry = entry;
  }

  async close(): Promise<void> {}

  #flush(): void {
    if (this.#tailLength > 0) this.#pieces.push({ start: this.#tailStart, bytes: new Blob(this.#tail as Uint8Array<ArrayBuffer>[]) });
    this.#tail = [];
    this.#tailLength = 0;
  }
}
