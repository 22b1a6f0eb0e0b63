// From what the caller gave to the list of files that the engine opens.
import { FormatError, InputError, NetworkError } from '../errors.js';
import { keepText, keptText, LISTING } from '../storage/cache.js';
import { isNode, nodeFileSystem, pathOf } from '../storage/node.js';
import { type DownloadContext, fetchOrExplain, type Remote, statusText } from './download.js';

/** What the caller gave, in a form that can be posted to the Worker. */
export type SourceSpec =
  | { kind: 'hub'; id: string }
  | { kind: 'urls'; urls: string[] }
  | { kind: 'paths'; paths: string[] }
  | { kind: 'blobs'; files: { name: string; blob: Blob }[] };

/** The options that say which files are meant. */
export interface ResolveOptions {
  file?: string | undefined;
  quantization?: string | undefined;
  revision?: string | undefined;
  token?: string | undefined;
  hubEndpoint?: string | undefined;
}

/** A file to open. */
export type FileRef =
  | ({ kind: 'remote'; isOptional?: boolean } & Remote)
  | { kind: 'path'; name: string; path: string }
  | { kind: 'blob'; name: string; blob: Blob };

/** The files beside safetensors that the engine wants, and whether it can do without. */
const COMPANIONS: [name: string, isOptional: boolean][] = [
  ['config.json', false],
  ['tokenizer.json', false],
  ['tokenizer_config.json', true],
  ['generation_config.json', true],
  ['chat_template.jinja', true],
];
const INDEX = 'model.safetensors.index.json';
const WEIGHTS = /\.(gguf|safetensors)$/i;

/** GGUF quantizations by how gladly they are taken when the caller does not choose. */
const PREFERRED = ['Q4_K_M', 'Q4_0', 'Q4_K_S', 'Q4_1', 'Q5_K_M', 'Q5_0', 'Q8_0', 'Q6_K', 'F16', 'BF16', 'F32'];

/** The files of a source. */
export async function resolve(source: SourceSpec, options: ResolveOptions, context: DownloadContext): Promise<FileRef[]> {
  switch (source.kind) {
    case 'blobs':
      return source.files.map(({ name, blob }) => ({ kind: 'blob', name, blob }));
    case 'paths':
      return fromPaths(source.paths);
    case 'urls':
      return fromUrls(source.urls, options, context);
    case 'hub':
      return fromHub(source.id, options, context);
  }
}

/** All the names of a split file, from the name of one of its parts. */
export function splitNames(name: string): string[] {
  const parts = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(name);
  if (!parts) return [name];
  const [, stem, , count] = parts as unknown as [string, string, string, string];
  return Array.from({ length: Number(count) }, (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.gguf`);
}

async function fromPaths(paths: string[]): Promise<FileRef[]> {
  const fs = await nodeFileSystem();
  const [only] = paths;
  const ref = (path: string): FileRef => ({ kind: 'path', name: baseName(path), path });
  if (paths.length !== 1 || only === undefined) return paths.map(ref);
  const info = await fs.stat(only).catch((cause: unknown) => {
    throw new InputError(`${only}: there is no such file or folder`, { cause });
  });
  const folder = info.isDirectory() ? only.replace(/[\\/]$/, '') : only.slice(0, -baseName(only).length).replace(/[\\/]$/, '') || '.';
  if (!info.isDirectory() && /\.gguf$/i.test(only)) return splitNames(only).map(ref);
  const names = await fs.readdir(folder);
  const chosen = info.isDirectory() ? choose(folder, names, {}) : [baseName(only), ...COMPANIONS.map(([name]) => name)];
  const shards = chosen.includes(INDEX) ? shardsOf(INDEX, await fs.readFile(`${folder}/${INDEX}`, 'utf8')) : [];
  return [...chosen, ...shards].filter((name) => names.includes(name)).map((name) => ref(`${folder}/${name}`));
}

async function fromUrls(urls: string[], { token }: ResolveOptions, context: DownloadContext): Promise<FileRef[]> {
  const ref = (url: string, isOptional = false): FileRef => ({ kind: 'remote', name: baseName(new URL(url).pathname), url, isOptional, ...(token ? { token } : {}) });
  const [only] = urls;
  if (urls.length !== 1 || only === undefined) return urls.map((url) => ref(url));
  const name = baseName(new URL(only).pathname);
  const sibling = (other: string) => {
    const url = new URL(only);
    url.pathname = url.pathname.slice(0, url.pathname.length - baseName(url.pathname).length) + other;
    return url.href;
  };
  if (splitNames(name).length > 1) return splitNames(name).map((part) => ref(sibling(part)));
  const companions = COMPANIONS.map(([other, isOptional]) => ref(sibling(other), isOptional));
  if (/\.safetensors$/i.test(name)) return [...companions, ref(only)];
  if (name.endsWith('.safetensors.index.json')) {
    const text = await fetchText(only, token, context.signal);
    return [...companions, ref(only), ...shardsOf(name, text).map((shard) => ref(sibling(shard)))];
  }
  return [ref(only)];
}

async function fromHub(idWithChoice: string, options: ResolveOptions, context: DownloadContext): Promise<FileRef[]> {
  const [id, suffix] = idWithChoice.split(':') as [string, string | undefined];
  const revision = options.revision ?? 'main';
  const endpoint = (options.hubEndpoint ?? 'https://huggingface.co').replace(/\/$/, '');
  const choice: Choice = { file: options.file, quantization: options.quantization ?? suffix };
  const key = `${LISTING}${endpoint}/${id}@${revision}#${choice.file ?? choice.quantization ?? ''}`;
  const kept = context.cache === true ? await keptText(key) : undefined;
  const withToken = (files: Remote[]): FileRef[] => files.map((file) => ({ kind: 'remote', ...file, ...(options.token ? { token: options.token } : {}) }));
  if (kept) return withToken(JSON.parse(kept) as Remote[]);

  context.onProgress({ phase: 'resolve', file: id, loadedBytes: 0, totalBytes: 0, fromCache: false });
  const listing = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const text = await fetchText(listing, options.token, context.signal);
  const { siblings } = parseJson(listing, text) as { siblings?: { rfilename: string; size?: number }[] };
  if (!Array.isArray(siblings)) throw new FormatError(`${listing}: the hub's answer lists no files`);
  const sizes = new Map(siblings.map(({ rfilename, size }) => [rfilename, size]));
  const fileUrl = (name: string) => `${endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${name.split('/').map(encodeURIComponent).join('/')}`;
  const names = choose(id, [...sizes.keys()], choice);
  if (names.includes(INDEX)) names.push(...shardsOf(INDEX, await fetchText(fileUrl(INDEX), options.token, context.signal)));
  const files = names.map((name): Remote => {
    const size = sizes.get(name);
    return { name: baseName(name), url: fileUrl(name), model: id, ...(size === undefined ? {} : { size }) };
  });
  if (context.cache !== false) await keepText(key, JSON.stringify(files), id);
  return withToken(files);
}

interface Choice {
  file?: string | undefined;
  quantization?: string | undefined;
}

/** Which of a repository's files to load: GGUF before safetensors. */
export function choose(id: string, names: string[], { file, quantization }: Choice): string[] {
  const gguf = names.filter((name) => /\.gguf$/i.test(name) && !/mmproj|imatrix/i.test(name)).sort();
  const firsts = gguf.filter((name) => splitNames(name)[0] === name);
  const has = (name: string, part: string) => name.toUpperCase().includes(part.toUpperCase());
  const parts = (name: string) => {
    const wanted = splitNames(name);
    const lacking = wanted.filter((part) => !names.includes(part));
    if (lacking.length > 0) throw new FormatError(`${id}: the split file ${name} lacks ${lacking.join(', ')}`);
    return wanted;
  };
  if (file !== undefined) {
    const pattern = new RegExp(`^${file.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&')).join('.*')}$`, 'i');
    const found = [...firsts, ...names.filter((name) => /\.safetensors$/i.test(name))].find((name) => pattern.test(name) || pattern.test(baseName(name)));
    if (found === undefined) throw new InputError(`${id} has no model file ${JSON.stringify(file)}. It has: ${names.filter((name) => WEIGHTS.test(name)).join(', ') || 'none'}`);
    return /\.gguf$/i.test(found) ? parts(found) : withCompanions([found]);
  }
  if (quantization !== undefined) {
    // As a whole word: Q4_K is not Q4_K_M, and Q4_0 is not IQ4_0.
    const word = new RegExp(`(^|[^A-Z0-9])${quantization.replace(/[^\w]/g, '\\$&')}([^A-Z0-9_]|$)`, 'i');
    const found = firsts.find((name) => word.test(baseName(name))) ?? firsts.find((name) => word.test(name));
    if (found === undefined) throw new InputError(`${id} has no GGUF file in ${quantization}. It has: ${firsts.join(', ') || 'no GGUF file'}`);
    return parts(found);
  }
  const preferred = PREFERRED.map((part) => firsts.find((name) => has(name, part))).find((name) => name !== undefined) ?? firsts[0];
  if (preferred !== undefined) return parts(preferred);
  if (names.includes('model.safetensors')) return withCompanions(['model.safetensors']);
  if (names.includes(INDEX)) return withCompanions([INDEX]);
  throw new InputError(`${id} has neither a GGUF file nor model.safetensors. It has: ${names.slice(0, 20).join(', ')}`);

  function withCompanions(weights: string[]): string[] {
    const lacking = COMPANIONS.filter(([name, isOptional]) => !isOptional && !names.includes(name)).map(([name]) => name);
    if (lacking.length > 0) throw new FormatError(`${id} has safetensors but no ${lacking.join(' and no ')}`);
    return [...COMPANIONS.map(([name]) => name).filter((name) => names.includes(name)), ...weights];
  }
}

/** The weight files that an index names. */
function shardsOf(index: string, text: string): string[] {
  const { weight_map: map } = parseJson(index, text) as { weight_map?: Record<string, string> };
  if (typeof map !== 'object' || map === null) throw new FormatError(`${index}: there is no weight_map`);
  return [...new Set(Object.values(map))].sort();
}

async function fetchText(url: string, token: string | undefined, signal: AbortSignal): Promise<string> {
  const response = await fetchOrExplain(url, { signal, headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (!response.ok) throw new NetworkError(url, statusText(response), response.status);
  return response.text();
}

function parseJson(name: string, text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // said below
  }
  throw new FormatError(`${name}: this is no JSON object`);
}

function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** What a caller's source is, by its looks. Page-relative addresses are completed here, where the page is known. */
export function describeSource(source: unknown): SourceSpec {
  const list: unknown[] = Array.isArray(source) ? source : [source];
  if (list.length === 0) throw new InputError('the list of files is empty');
  if (list.every((item) => item instanceof Blob)) {
    return { kind: 'blobs', files: list.map((blob, i) => ({ name: nameOfBlob(blob, i), blob })) };
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return { kind: 'blobs', files: [{ name: 'model', blob: new Blob([source as BlobPart]) }] };
  }
  if (!list.every((item) => typeof item === 'string' || item instanceof URL)) {
    throw new InputError('a model is loaded from a URL, a hub id (owner/name), a File or Blob, bytes, or an array of URLs or Files');
  }
  const texts = list.map(String);
  const [only] = texts;
  if (texts.length === 1 && only !== undefined && isHubId(only)) return { kind: 'hub', id: only };
  if (isNode && texts.every((text) => text.startsWith('file:') || !/^[a-z][a-z0-9+.-]+:/i.test(text))) {
    return { kind: 'paths', paths: texts.map((text) => (text.startsWith('file:') ? pathOf(new URL(text)) : text)) };
  }
  return {
    kind: 'urls',
    urls: texts.map((text) => {
      const base = globalThis.document?.baseURI ?? globalThis.location?.href;
      if (!URL.canParse(text, base)) throw new InputError(`${JSON.stringify(text)} is neither an address nor a hub id (owner/name)`);
      return new URL(text, base).href;
    }),
  };
}

/** Whether `text` reads as `owner/name` or `owner/name:Q4_K_M`, and not as a file. */
function isHubId(text: string): boolean {
  return /^[\w-][\w.-]*\/[\w-][\w.-]*(:[\w.-]+)?$/.test(text) && !/\.(gguf|safetensors|json)$/i.test(text);
}

function nameOfBlob(blob: Blob, index: number): string {
  return 'name' in blob && typeof blob.name === 'string' ? blob.name : `model-${index}`;
}
