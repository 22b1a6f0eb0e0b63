// Votive without relaxed SIMD and threads, as in older browsers.
import { loadAs } from './votive.mjs';

export const load = (url) => loadAs(url, { engine: 'simd' });
