/** What is remembered of a file beside its bytes. */
export interface StoredEntry {
  /** The address that it came from. */
  url: string;
  /** Its size in bytes, 0 where the server did not say. */
  size: number;
  /** The server's validator, by which a resumed download knows that the file is still the same. */
  etag: string | null;
  /** Whether all of it is there. */
  complete: boolean;
  /** When it was written, in milliseconds since 1970. */
  savedAt: number;
  /** The hub id that it belongs to. */
  model?: string | undefined;
}

/** A file of which bytes are added at the end while others are read; kept for the next visit, or only for this one. */
export interface StoredFile {
  /** What is known of it; `undefined` when it is new. */
  readonly entry: StoredEntry | undefined;
  /** Bytes that are there. */
  readonly length: number;
  /** Writes what is known of it, and keeps its bytes (`keep`) or starts over. */
  begin(entry: StoredEntry, keep: boolean): Promise<void>;
  append(chunk: Uint8Array): Promise<void> | void;
  /** Told of appended bytes when nobody else holds them any more, by files that do not keep all that is appended. */
  keep?(start: number, bytes: Uint8Array, isRead: boolean): void;
  /** At most `length` bytes that are there; none where the file has not kept them. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Marks it complete. It can be read still. */
  finish(entry: StoredEntry): Promise<void>;
  /** Lets go of it, keeping what is there. */
  close(): Promise<void>;
}

/** A place where files are kept. */
export interface Store {
  /** The file of `url` when it is there completely, for reading. */
  lookup(url: string): Promise<StoredFile | undefined>;
  /** The file of `url`, partial or new, for writing. Only one at a time. */
  open(url: string): Promise<StoredFile>;
  list(): Promise<(StoredEntry & { storedBytes: number })[]>;
  delete(url: string): Promise<boolean>;
}
