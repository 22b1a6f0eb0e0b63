// Files in the browser's origin-private file system: `<hash>.bin` holds the bytes, `<hash>.json` what is known of them.
import { keyOf } from './key.js';
import type { Store, StoredEntry, StoredFile } from './store.js';

/** The part of the synchronous handles (Workers only) that is used; TypeScript has it in another library than the DOM's. */
interface SyncHandle {
  read(buffer: Uint8Array, options: { at: number }): number;
  write(buffer: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  close(): void;
}
type FileHandle = FileSystemFileHandle & { createSyncAccessHandle?(options?: { mode: 'read-only' }): Promise<SyncHandle> };
type DirectoryHandle = FileSystemDirectoryHandle & { keys(): AsyncIterable<string> };

const FOLDER = 'votive';

/** The store in the origin-private file system, or `undefined` where there is none. Writing works in Workers only. */
export async function opfsStore(): Promise<OpfsStore | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return new OpfsStore((await root.getDirectoryHandle(FOLDER, { create: true })) as DirectoryHandle);
  } catch {
    return undefined; // no secure context, or private browsing
  }
}

class OpfsStore implements Store {
  readonly #folder: DirectoryHandle;

  constructor(folder: DirectoryHandle) {
    this.#folder = folder;
  }

  async lookup(url: string): Promise<StoredFile | undefined> {
    const key = await keyOf(url);
    const entry = await this.#entry(key);
    const bytes = entry?.complete && entry.url === url ? await this.#file(`${key}.bin`) : undefined;
    return entry && bytes && bytes.size === entry.size ? new OpfsFile(this.#folder, key, entry, (await this.#reader(`${key}.bin`)) ?? bytes) : undefined;
  }

  async open(url: string): Promise<StoredFile> {
    const key = await keyOf(url);
    const entry = await this.#entry(key);
    const handle = (await this.#folder.getFileHandle(`${key}.bin`, { create: true })) as FileHandle;
    if (!handle.createSyncAccessHandle) throw new DOMException('No synchronous file access here', 'NotSupportedError');
    return new OpfsFile(this.#folder, key, entry?.url === url ? entry : undefined, await openSync(handle));
  }

  async list(): Promise<(StoredEntry & { storedBytes: number })[]> {
    const found: (StoredEntry & { storedBytes: number })[] = [];
    for await (const name of this.#folder.keys()) {
      if (!name.endsWith('.json')) continue;
      const key = name.slice(0, -'.json'.length);
      const entry = await this.#entry(key);
      if (entry) found.push({ ...entry, storedBytes: (await this.#file(`${key}.bin`))?.size ?? 0 });
    }
    return found;
  }

  async delete(url: string): Promise<boolean> {
    const key = await keyOf(url);
    const gone = await Promise.all([`${key}.json`, `${key}.bin`].map((name) => this.#folder.removeEntry(name).then(() => true, missing)));
    return gone.some(Boolean);
  }

  async #file(name: string): Promise<File | undefined> {
    try {
      return await (await this.#folder.getFileHandle(name)).getFile();
    } catch {
      return undefined;
    }
  }

  /** The file for reading at once; only Workers have that, and not while another tab has it in another way. */
  async #reader(name: string): Promise<SyncHandle | undefined> {
    try {
      return await ((await this.#folder.getFileHandle(name)) as FileHandle).createSyncAccessHandle?.({ mode: 'read-only' });
    } catch {
      return undefined;
    }
  }

  async #entry(key: string): Promise<StoredEntry | undefined> {
    try {
      const entry = JSON.parse((await (await this.#file(`${key}.json`))?.text()) ?? '') as StoredEntry;
      return typeof entry.url === 'string' && Number.isSafeInteger(entry.size) ? entry : undefined;
    } catch {
      return undefined; // missing, or cut short while it was written
    }
  }
}

/** Opens a file for writing. A Worker that was just ended may still hold it for a moment. */
async function openSync(handle: FileHandle): Promise<SyncHandle> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await handle.createSyncAccessHandle!();
    } catch (error) {
      if ((error as DOMException).name !== 'NoModificationAllowedError' || attempt === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A file that is not there is what was wanted; one in use is not. */
function missing(error: unknown): boolean {
  if ((error as DOMException).name === 'NotFoundError') return false;
  throw error;
}

class OpfsFile implements StoredFile {
  entry: StoredEntry | undefined;
  length: number;
  readonly #folder: DirectoryHandle;
  readonly #key: string;
  /** Open, or complete and to be read by anyone. */
  #bytes: SyncHandle | Blob;
  #buffer = new Uint8Array();
  /** While it goes from the one to the other. */
  #reopened: Promise<void> | undefined;

  constructor(folder: DirectoryHandle, key: string, entry: StoredEntry | undefined, bytes: SyncHandle | Blob) {
    this.#folder = folder;
    this.#key = key;
    this.entry = entry;
    this.#bytes = bytes;
    this.length = bytes instanceof Blob ? bytes.size : bytes.getSize();
  }

  async begin(entry: StoredEntry, keep: boolean): Promise<void> {
    const handle = this.#writer();
    if (!keep) {
      handle.truncate(0);
      this.length = 0;
    }
    await this.#writeEntry(entry);
  }

  append(chunk: Uint8Array): void {
    const written = this.#writer().write(chunk, { at: this.length });
    this.length += written;
    if (written < chunk.length) throw new DOMException('The storage is full', 'QuotaExceededError');
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.#reopened;
    if (this.#bytes instanceof Blob) return new Uint8Array(await this.#bytes.slice(offset, offset + length).arrayBuffer());
    // What was read before is not needed any more.
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    return this.#buffer.subarray(0, this.#bytes.read(this.#buffer.subarray(0, length), { at: offset }));
  }

  finish(entry: StoredEntry): Promise<void> {
    this.#reopened = this.#reopen(entry);
    return this.#reopened;
  }

  async #reopen(entry: StoredEntry): Promise<void> {
    this.#closeWriter();
    await this.#writeEntry(entry);
    this.#bytes = await (await this.#folder.getFileHandle(`${this.#key}.bin`)).getFile();
  }

  async close(): Promise<void> {
    this.#closeWriter();
  }

  #writer(): SyncHandle {
    if (this.#bytes instanceof Blob) throw new Error('the stored file is open for reading only');
    return this.#bytes;
  }

  #closeWriter(): void {
    if (this.#bytes instanceof Blob) return;
    // Not flushed to the disk, which takes as long as the download from near by: the system does that, and a file that lost its end
    // when the power failed is seen by its size.
    this.#bytes.close();
  }

  async #writeEntry(entry: StoredEntry): Promise<void> {
    this.entry = entry;
    const handle = (await this.#folder.getFileHandle(`${this.#key}.json`, { create: true })) as FileHandle;
    const access = await openSync(handle);
    try {
      access.truncate(0);
      access.write(new TextEncoder().encode(JSON.stringify(entry)), { at: 0 });
    } finally {
      access.close();
    }
  }
}
