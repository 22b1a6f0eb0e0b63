// Cross-origin isolation for pages whose server cannot be told to send headers.

/** Remembers, for this tab, that the page was loaded again once. */
const TRIED = 'votive-isolation';

/**
 * Makes the page cross-origin isolated, so that the engine can use threads, by a service worker that adds the headers:
 * `script` is the address of the package's `isolation-worker.js` on the page's own site, in the folder of the page or above it.
 * Loads the page again, the first time; resolves with whether it is isolated. To be called before anything else is done.
 */
export async function isolate(script: string | URL): Promise<boolean> {
  if (globalThis.crossOriginIsolated) return true;
  const workers = globalThis.navigator?.serviceWorker;
  if (!workers || sessionStorage.getItem(TRIED) !== null) return false; // no secure context, or this browser does not take the headers
  try {
    await workers.register(script);
    await workers.ready;
  } catch {
    return false; // a private window, or a policy of the site
  }
  sessionStorage.setItem(TRIED, 'yes');
  location.reload();
  return new Promise(() => undefined); // the page is leaving
}
