// What the browser's processes cost, read from /proc (Linux; elsewhere the numbers are NaN).
import fs from 'node:fs';

const read = (file) => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const list = (dir) => {
  try {
    return fs.readdirSync(dir);
  } catch {
    return [];
  }
};

/** Process ids of the renderers below `root`. */
export function renderers(root) {
  const children = new Map();
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = /PPid:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1];
    if (parent) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [];
  const walk = (pid) => {
    if (read(`/proc/${pid}/cmdline`).includes('--type=renderer')) found.push(pid);
    for (const child of children.get(pid) ?? []) walk(child);
  };
  walk(String(root));
  return found;
}

/** CPU milliseconds spent so far by all threads of these processes: steady on a busy machine, where wall time is not. */
export function cpuMilliseconds(pids) {
  const times = pids.flatMap((pid) => list(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`));
  return times.length ? times.reduce((sum, file) => sum + Number(read(file).split(' ')[0] || 0), 0) / 1e6 : NaN;
}

/** The largest resident size that these processes have had so far, in MB (10^6 bytes). */
export function peakMegabytes(pids) {
  const sizes = pids.map((pid) => Number(/VmHWM:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? NaN));
  return sizes.length ? (sizes.reduce((sum, size) => sum + size, 0) * 1024) / 1e6 : NaN;
}
