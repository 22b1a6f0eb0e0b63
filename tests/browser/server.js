// The site that the tests visit: the package as built, the demo pages, models, a hub, and a server that can misbehave.
import events from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const MODELS = process.env.VOTIVE_MODELS ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'votive/models');
export const MODEL_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';
export const WHISPER_PATH = path.join(MODELS, 'whisper-tiny.en', 'model.safetensors');
export const MODEL_PATH = path.join(MODELS, 'smollm2-135m-instruct', MODEL_FILE);

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml' };

/**
 * Serves files. `faults` may be changed by a test: `cutAt` (break one connection after so many bytes of its body),
 * `bytesPerSecond` (slow down bodies of models), `isDown` (break every connection), `hasNoRanges` (send all where a part is asked for).
 *
 * @param {Record<string, string>} mounts URL prefix to folder
 * @param {Record<string, string>} [documents] URL path to text
 * @param {{ isIsolated?: boolean }} [options] `isIsolated` sends the headers that make pages cross-origin isolated
 */
export async function serve(mounts, documents = {}, { isIsolated = false } = {}) {
  const faults = { cutAt: undefined, bytesPerSecond: undefined, isDown: false, hasNoRanges: false };
  /** Every request of a model file: its path, its range, and how many bytes of its body were sent. */
  const log = [];

  const server = http.createServer((request, response) => {
    if (faults.isDown) return void request.socket.destroy();
    const url = new URL(request.url, 'http://localhost');
    const pathname = decodeURIComponent(url.pathname);
    const headers = { 'Cache-Control': 'no-store', 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*', 'Access-Control-Expose-Headers': 'ETag, Content-Range' };
    if (isIsolated) Object.assign(headers, { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp', 'Cross-Origin-Resource-Policy': 'cross-origin' });
    if (request.method === 'OPTIONS') return void response.writeHead(204, headers).end();
    if (pathname in documents) {
      const type = TYPES[path.extname(pathname)] ?? 'application/json';
      return void response.writeHead(200, { ...headers, 'Content-Type': type }).end(documents[pathname]);
    }
    if (pathname === '/huge.gguf') return void sendHuge(response, headers);
    const prefix = Object.keys(mounts).find((mount) => pathname.startsWith(mount));
    let file = prefix && path.join(mounts[prefix], path.normalize(`/${pathname.slice(prefix.length)}`));
    if (file && pathname.endsWith('/')) file = path.join(file, 'index.html');
    const stat = file && fs.statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) return void response.writeHead(404, headers).end();
    sendFile(request, response, headers, file, stat, pathname);
  });

  async function sendFile(request, response, headers, file, stat, pathname) {
    const isModel = /\.(gguf|safetensors)$/.test(file);
    const etag = `"${stat.size}-${stat.mtimeMs}"`;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const isPart = range && !faults.hasNoRanges && [undefined, etag].includes(request.headers['if-range']);
    const start = isPart ? Number(range[1]) : 0;
    const end = isPart && range[2] ? Number(range[2]) : stat.size - 1;
    const entry = { path: pathname, range: request.headers.range, authorization: request.headers.authorization, bytes: 0 };
    if (isModel) log.push(entry);
    Object.assign(headers, { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream', 'Content-Length': end - start + 1, 'Accept-Ranges': 'bytes', ETag: etag });
    if (isPart) headers['Content-Range'] = `bytes ${start}-${end}/${stat.size}`;
    response.writeHead(isPart ? 206 : 200, headers);
    if (request.method === 'HEAD') return void response.end();
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    for await (const chunk of fs.createReadStream(file, { start, end, highWaterMark: 1 << 20 })) {
      if (response.destroyed) return;
      if (isModel && faults.cutAt !== undefined && entry.bytes + chunk.length > faults.cutAt) {
        const rest = chunk.subarray(0, faults.cutAt - entry.bytes);
        faults.cutAt = undefined;
        entry.bytes += rest.length;
        response.write(rest, () => setTimeout(() => request.socket.destroy(), 50));
        return;
      }
      if (!response.write(chunk) && !response.destroyed) await events.once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
      entry.bytes += chunk.length;
      if (isModel && faults.bytesPerSecond) await new Promise((resolve) => setTimeout(resolve, (1000 * chunk.length) / faults.bytesPerSecond));
    }
    response.end();
  }

  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address();
  return {
    base: `http://127.0.0.1:${port}`,
    /** The same server by another name: another origin to a browser. */
    other: `http://localhost:${port}`,
    faults,
    log,
    documents,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A file that says it has 5 GiB. */
function sendHuge(response, headers) {
  response.writeHead(200, { ...headers, 'Content-Type': 'application/octet-stream', 'Content-Length': 5 * 2 ** 30 });
  response.write(ggufHeader(0));
}

/** A GGUF file that declares one f32 tensor of `elements` numbers and ends after its header. */
export function ggufHeader(elements) {
  const text = (value) => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    return Buffer.concat([length, bytes]);
  };
  const u32 = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const STRING = 8;
  const F32 = 0;
  const metadata = Buffer.concat([text('general.architecture'), u32(STRING), text('llama')]);
  const tensor = Buffer.concat([text('token_embd.weight'), u32(1), u64(elements), u32(F32), u64(0)]);
  const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(elements ? 1 : 0), u64(1), metadata, ...(elements ? [tensor] : [])]);
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32)]);
}
