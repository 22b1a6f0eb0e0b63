// Starting Workers.

/**
 * Starts a Worker by `start`, whose script is `name` beside `base`; from another site too (a CDN), where a Worker cannot be
 * started from it directly. `release` is to be called when its script has run, or it is not needed any more.
 */
export function startWorker(start: () => Worker, name: string, base: string): { worker: Worker; release: () => void } {
  try {
    return { worker: start(), release: () => undefined };
  } catch (error) {
    if ((error as DOMException).name !== 'SecurityError') throw error;
    const script = base.replace(/[^/]*$/, name);
    const url = URL.createObjectURL(new Blob([`import ${JSON.stringify(script)};`], { type: 'text/javascript' }));
    return { worker: new Worker(url, { type: 'module' }), release: () => URL.revokeObjectURL(url) };
  }
}
