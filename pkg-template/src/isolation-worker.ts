// A service worker that adds the headers for cross-origin isolation; `isolate` registers it. It touches pages and the scripts
// of Workers only: everything else, models above all, goes past it. Registered as `isolation-worker.js?require-corp` it sends
// that policy, which Safari needs, and by which pages cannot show what other sites do not offer to them.

interface Scope {
  addEventListener(type: 'install', listener: () => void): void;
  addEventListener(type: 'activate', listener: (event: { waitUntil(promise: Promise<unknown>): void }) => void): void;
  addEventListener(type: 'fetch', listener: (event: { request: Request; respondWith(response: Promise<Response>): void }) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  location: Location;
}
const scope = globalThis as unknown as Scope;
const policy = scope.location.search === '?require-corp' ? 'require-corp' : 'credentialless';

scope.addEventListener('install', () => void scope.skipWaiting());
scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.mode === 'navigate' || request.destination === 'worker' || request.destination === 'sharedworker') event.respondWith(isolated(request));
});

async function isolated(request: Request): Promise<Response> {
  const response = await fetch(request);
  if (response.type.startsWith('opaque')) return response; // a redirect, which the browser follows and asks again
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', policy);
  const { body, status, statusText } = response;
  return new Response(body, { headers, status, statusText });
}
