// node kernels.mjs FILE.wasm… [--filter TEXT]
// Runs benches/kernels.rs or benches/operations.rs, compiled to WebAssembly, in a worker of Chromium; prints their lines.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './server.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { filter: { type: 'string', default: '' } } });

/** Runs in the worker, which has it as text. */
async function work({ data: { url, filter } }) {
  const module = await WebAssembly.compileStreaming(fetch(url));
  let memory;
  const bench = {
    now: () => performance.now(),
    filter: (at, space) => {
      const bytes = new TextEncoder().encode(filter).subarray(0, space);
      new Uint8Array(memory.buffer).set(bytes, at);
      return bytes.length;
    },
    print: (at, length) => postMessage(new TextDecoder().decode(new Uint8Array(memory.buffer, at, length))),
  };
  // The library's JavaScript bindings are linked in and not used here.
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const missing = () => {
      throw new Error(`${from}.${name} is not available in the benchmark`);
    };
    (imports[from] ??= {})[name] = from === 'bench' ? bench[name] : missing;
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  memory = exports.memory;
  exports.main(0, 0);
  postMessage(null);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await (await browser.newContext()).newPage();
  await page.exposeFunction('line', (text) => console.log(text));
  for (const file of positionals) {
    const server = await serve({ '/pages/': path.join(here, 'pages'), '/module/': path.dirname(path.resolve(file)) });
    await page.goto(`${server.base}/pages/page.html`);
    await page.evaluate(
      ([source, url, filter]) =>
        new Promise((done, fail) => {
          const worker = new Worker(URL.createObjectURL(new Blob([`onmessage = ${source}`], { type: 'text/javascript' })));
          worker.onmessage = ({ data }) => (data === null ? done() : self.line(data));
          worker.onerror = (event) => fail(new Error(event.message));
          worker.onmessageerror = () => fail(new Error('an unreadable message'));
          worker.postMessage({ url, filter });
        }),
      [work.toString(), `${server.base}/module/${path.basename(file)}`, values.filter],
    );
    server.close();
  }
} finally {
  await browser.close();
}
