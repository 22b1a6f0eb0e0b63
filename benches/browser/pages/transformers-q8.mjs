// transformers.js with 8-bit weights.
import { loadAs } from './transformers.mjs';

export const load = (_, threads) => loadAs('q8', threads);
