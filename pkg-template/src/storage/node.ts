// Files in Node: opened by path, and downloads kept in a folder of the user's cache directory.
import { keyOf } from './key.js';
import type { Store, StoredEntry, StoredFile } from './store.js';

/** The part of Node's `fs/promises` that is used. */
interface FileSystem {
  open(path: string, flags: string): Promise<FileHandle>;
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  readFile(path: string, encoding: 'utf8'): Promise<string>;
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  writeFile(path: string, text: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  rm(path: string): Promise<void>;
  stat(path: string): Promise<{ size: number; isDirectory(): boolean }>;
}
interface FileHandle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  stat(): Promise<{ size: number }>;
  close(): Promise<void>;
}
interface NodeProcess {
  versions?: { node?: string };
  env: Record<string, string | undefined>;
  platform: string;
}

const node = (globalThis as { process?: NodeProcess }).process;

/** Whether this is Node (or a runtime that speaks as it does), and not a page or its Worker. */
export const isNode = typeof node?.versions?.node === 'string' && typeof (globalThis as { document?: unknown }).document === 'undefined' && !('WorkerGlobalScope' in globalThis);

/** Node's file system. The name is hidden from bundlers, which would look for it in a page's build. */
export async function nodeFileSystem(): Promise<FileSystem> {
  const name = 'node:fs/promises';
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as FileSystem;
}

/** The path of a `file:` URL. */
export function pathOf(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return node?.platform === 'win32' ? path.slice(1) : path;
}

/** Reads of a file by its path. */
export async function openPath(path: string): Promise<{ size: number; read(offset: number, length: number): Promise<Uint8Array>; close(): Promise<void> }> {
  const handle = await (await nodeFileSystem()).open(path, 'r');
  const { size } = await handle.stat();
  return { size, read: (offset, length) => readFully(handle, offset, length), close: () => handle.close() };
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** The store in the user's cache directory, `undefined` outside of Node. `VOTIVE_CACHE` names another folder. */
export async function nodeStore(): Promise<Store | undefined> {
  if (!isNode || !node) return undefined;
  const { VOTIVE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA, HOME } = node.env;
  const base = XDG_CACHE_HOME || LOCALAPPDATA || (HOME && `${HOME}/.cache`);
  const folder = VOTIVE_CACHE || (base && `${base}/votive/downloads`);
  if (!folder) return undefined;
  const fs = await nodeFileSystem();
  await fs.mkdir(folder, { recursive: true });
  return new NodeStore(fs, folder);
}

class NodeStore implements Store {
  readonly #fs: FileSystem;
  readonly #folder: string;

  constructor(fs: FileSystem, folder: string) {
    this.#fs = fs;
    this.#folder = folder;
  }

  async lookup(url: string): Promise<StoredFile | undefined> {
    const base = await this.#base(url);
    const entry = await this.#entry(`${base}.json`);
    if (!entry?.complete || entry.url !== url) return undefined;
    const handle = await this.#fs.open(`${base}.bin`, 'r').catch(() => undefined);
    if (!handle) return undefined;
    const { size } = await handle.stat();
    if (size === entry.size) return new NodeFile(this.#fs, base, handle, entry, size);
    await handle.close();
    return undefined;
  }

  async open(url: string): Promise<StoredFile> {
    const base = await this.#base(url);
    const entry = await this.#entry(`${base}.json`);
    await (await this.#fs.open(`${base}.bin`, 'a')).close(); // makes it, when it is new
    const handle = await this.#fs.open(`${base}.bin`, 'r+');
    return new NodeFile(this.#fs, base, handle, entry?.url === url ? entry : undefined, (await handle.stat()).size);
  }

  async list(): Promise<(StoredEntry & { storedBytes: number })[]> {
    const names = (await this.#fs.readdir(this.#folder)).filter((name) => name.endsWith('.json'));
    const entries = names.map(async (name) => {
      const path = `${this.#folder}/${name}`;
      const entry = await this.#entry(path);
      const bytes = await this.#fs.stat(path.replace(/json$/, 'bin')).catch(() => undefined);
      return entry && { ...entry, storedBytes: bytes?.size ?? 0 };
    });
    return (await Promise.all(entries)).filter((entry) => entry !== undefined);
  }

  async delete(url: string): Promise<boolean> {
    const base = await this.#base(url);
    const gone = await Promise.all([`${base}.json`, `${base}.bin`].map((path) => this.#fs.rm(path).then(() => true, () => false)));
    return gone.some(Boolean);
  }

  async #entry(path: string): Promise<StoredEntry | undefined> {
    try {
      return JSON.parse(await this.#fs.readFile(path, 'utf8')) as StoredEntry;
    } catch {
      return undefined;
    }
  }

  async #base(url: string): Promise<string> {
    return `${this.#folder}/${await keyOf(url)}`;
  }
}

class NodeFile implements StoredFile {
  readonly #fs: FileSystem;
  readonly #base: string;
  readonly #handle: FileHandle;
  entry: StoredEntry | undefined;
  length: number;

  constructor(fs: FileSystem, base: string, handle: FileHandle, entry: StoredEntry | undefined, length: number) {
    this.#fs = fs;
    this.#base = base;
    this.#handle = handle;
    this.entry = entry;
    this.length = length;
  }

  async begin(entry: StoredEntry, keep: boolean): Promise<void> {
    if (!keep) {
      await this.#handle.truncate(0);
      this.length = 0;
    }
    await this.#note(entry);
  }

  async append(chunk: Uint8Array): Promise<void> {
    let done = 0;
    while (done < chunk.length) {
      done += (await this.#handle.write(chunk, done, chunk.length - done, this.length + done)).bytesWritten;
    }
    this.length += done;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return readFully(this.#handle, offset, length);
  }

  finish(entry: StoredEntry): Promise<void> {
    return this.#note(entry);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #note(entry: StoredEntry): Promise<void> {
    this.entry = entry;
    await this.#fs.writeFile(`${this.#base}.json`, JSON.stringify(entry));
  }
}
