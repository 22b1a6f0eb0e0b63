import { StorageError } from '../errors.js';
import { nodeStore } from './node.js';
import { opfsStore } from './opfs.js';
import { cacheApiStore } from './pieces.js';
import type { Store, StoredEntry, StoredFile } from './store.js';
import { VisitFile } from './visit.js';

/** A file that was downloaded and kept. */
export interface CacheEntry {
  /** The address that it came from. */
  url: string;
  /** The hub id that it was downloaded for. */
  model?: string | undefined;
  /** Its size in bytes. */
  totalBytes: number;
  /** Bytes of it that are there. */
  storedBytes: number;
  /** Whether all of it is there; a download that was stopped is resumed by the next load. */
  complete: boolean;
  /** When it was last written. */
  savedAt: Date;
}

/** The address under which the files of a hub id are remembered, so that it loads without the network. */
export const LISTING = 'votive-hub:';

/** Under addresses that begin so it is remembered how fast a model is on which device. */
export const MEASURED = 'votive-measured:';

/** Whether an address is not that of a file, but of what is remembered beside. */
const isNote = (url: string) => url.startsWith(LISTING) || url.startsWith(MEASURED);

/** The stores of this place, the preferred one first. */
async function stores(): Promise<Store[]> {
  const all = await Promise.all([opfsStore(), cacheApiStore(), nodeStore()]);
  return all.filter((store) => store !== undefined);
}

/** The file of `url`, when it is kept completely. */
export async function lookup(url: string): Promise<StoredFile | undefined> {
  for (const store of await stores()) {
    const file = await store.lookup(url);
    if (file) return file;
  }
  return undefined;
}

/** The file of `url` for writing: where it is kept for later, or for this visit only where nothing can be kept. */
export async function openForWriting(url: string): Promise<StoredFile> {
  for (const store of await stores()) {
    try {
      return await store.open(url);
    } catch {
      // Not writable from here (a page without a Worker, another browser's limits): the next one.
    }
  }
  return new VisitFile();
}

/** Keeps a small text under `url`; that it cannot be kept is no error. */
export async function keepText(url: string, text: string, model: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  const entry: StoredEntry = { url, size: bytes.length, etag: null, complete: true, savedAt: Date.now(), model };
  let file: StoredFile | undefined;
  try {
    file = await openForWriting(url);
    await file.begin({ ...entry, complete: false }, false);
    await file.append(bytes);
    await file.finish(entry);
  } catch {
    await file?.close();
  }
}

/** The text kept under `url`. */
export async function keptText(url: string): Promise<string | undefined> {
  const file = await lookup(url);
  if (!file) return undefined;
  try {
    return new TextDecoder().decode(await file.read(0, file.length));
  } finally {
    await file.close();
  }
}

/** Throws when the browser would not keep `bytes` more. */
export async function checkQuota(url: string, bytes: number): Promise<void> {
  const { quota, usage } = await (globalThis.navigator?.storage?.estimate?.() ?? {});
  if (quota === undefined || usage === undefined || bytes <= quota - usage) return;
  const mb = (n: number) => `${Math.max(0, Math.round(n / 1e6))} MB`;
  throw new StorageError(
    `${url}: ${mb(bytes)} are to be kept, but the browser allows this site ${mb(quota - usage)} more. Free some with clearCache() or deleteFromCache(), or load with cache: false.`,
  );
}

/** The files that were downloaded and kept, complete or not. */
export async function listCache(): Promise<CacheEntry[]> {
  const lists = await Promise.all((await stores()).map((store) => store.list()));
  return lists
    .flat()
    .filter((entry) => !isNote(entry.url))
    .map(({ url, model, size, storedBytes, complete, savedAt }) => ({
      url,
      ...(model === undefined ? {} : { model }),
      totalBytes: size,
      storedBytes,
      complete,
      savedAt: new Date(savedAt),
    }));
}

/** Deletes the kept files of an address or of a hub id (`owner/name`). Resolves with how many files were deleted. */
export async function deleteFromCache(source: string | URL): Promise<number> {
  const wanted = String(source);
  const absolute = URL.canParse(wanted, globalThis.location?.href) ? new URL(wanted, globalThis.location?.href).href : wanted;
  return deleteWhere((entry) => entry.url === wanted || entry.url === absolute || entry.model === wanted);
}

/** Deletes all kept files. Resolves with how many files were deleted. */
export async function clearCache(): Promise<number> {
  return deleteWhere(() => true);
}

async function deleteWhere(isWanted: (entry: StoredEntry) => boolean): Promise<number> {
  let count = 0;
  for (const store of await stores()) {
    for (const entry of await store.list()) {
      if (!isWanted(entry)) continue;
      try {
        const gone = await store.delete(entry.url);
        if (gone && !isNote(entry.url)) count++;
      } catch (cause) {
        throw new StorageError(`${entry.url} could not be deleted: it is being downloaded`, { cause });
      }
    }
  }
  return count;
}
