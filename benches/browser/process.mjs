// What the browser's processes cost, read from /proc (Linux).
import fs from 'node:fs';

const read = (file) => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};

/** Process ids of the renderers below `root`. */
function renderers(root) {
  const children = new Map();
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
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

/** CPU milliseconds spent so far by all threads of all renderers: steady on a busy machine, where wall time is not. */
export function cpuMilliseconds(root) {
  let nanoseconds = 0;
  for (const pid of renderers(root)) {
    for (const thread of fs.existsSync(`/proc/${pid}/task`) ? fs.readdirSync(`/proc/${pid}/task`) : []) {
      nanoseconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] || 0);
    }
  }
  return nanoseconds / 1e6;
}

/** Largest resident size any renderer has had, in MB. */
export function peakMegabytes(root) {
  const sizes = renderers(root).map((pid) => Number(/VmHWM:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0));
  return Math.max(0, ...sizes) / 1024;
}
