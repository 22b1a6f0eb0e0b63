// Numbers of the benchmark as text: cells for the page, a table for the clipboard.

/** The speeds that are measured, by their names in a generation's stats. */
export const SPEEDS = ['prefillTokensPerSecond', 'decodeTokensPerSecond', 'timeToFirstTokenMs', 'memoryBytes'];

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
const speed = (tokens) => tokens.toFixed(tokens < 100 ? 1 : 0);

/** What each column shows, and which of two values is the better. */
const COLUMNS = [
  { title: 'Engine', text: ({ engine }) => engine },
  { title: 'Ready', text: ({ readyMs }) => seconds(readyMs) },
  { title: 'Prompt, tokens/s', text: (r) => speed(r.prefillTokensPerSecond), value: (r) => r.prefillTokensPerSecond },
  { title: 'Generation, tokens/s', text: (r) => speed(r.decodeTokensPerSecond), value: (r) => r.decodeTokensPerSecond },
  { title: 'First token', text: (r) => seconds(r.timeToFirstTokenMs), value: (r) => -r.timeToFirstTokenMs },
  { title: 'Memory', text: (r) => `${Math.round(r.memoryBytes / 1e6)} MB` },
];

/** The cells of each result, and for each whether it is the best of its column. */
export function rows(results) {
  const most = COLUMNS.map(({ value }) => value && Math.max(...results.map(value)));
  return results.map((result) => ({
    cells: COLUMNS.map(({ text }) => text(result)),
    best: COLUMNS.map(({ value }, i) => value !== undefined && value(result) === most[i]),
  }));
}

/** What one generated token costs a GPU, apart from how fast it is. */
export function costs({ perToken, msPerToken, weightBytes, layers, kernels = [] }) {
  const { dispatches, submits, buffers, bindGroups, pipelines, reads, encodeMicroseconds } = perToken;
  const made = buffers + bindGroups + pipelines;
  const longest = kernels.slice(0, 4).map(({ kernel, dispatches, microseconds }) => `${kernel} ${(microseconds / 1000).toFixed(2)} ms (${dispatches})`);
  return [
    ['Time', `${msPerToken.toFixed(1)} ms`],
    ['Weights', `${(weightBytes / 1e6).toFixed(0)} MB, ${(weightBytes / 1e6 / msPerToken).toFixed(1)} GB/s`],
    ['Dispatches', `${dispatches.toFixed(1)} for ${layers} layers`],
    ['Submits', submits.toFixed(1)],
    ['Values read back', reads.toFixed(1)],
    ['GPU objects made', made.toFixed(1)],
    ['Encoding', `${(encodeMicroseconds / 1000).toFixed(2)} ms`],
    ...(longest.length ? [['Longest kernels (runs)', longest.join(', ')]] : []),
  ];
}

/** All of it in Markdown. */
export function markdown({ model, machine, results }) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const lines = [
    `${model}, prompt of ${results[0].promptTokens} tokens`,
    '',
    line(COLUMNS.map(({ title }) => title)),
    line(COLUMNS.map((_, i) => (i ? '---:' : '---'))),
    ...rows(results).map(({ cells }) => line(cells)),
    '',
  ];
  const profile = results.find((result) => result.profile)?.profile;
  if (profile) lines.push(`A token on the GPU: ${costs(profile).map(([name, value]) => `${name.toLowerCase()} ${value}`).join(', ')}.`, '');
  return [...lines, ...machine.map(([name, value]) => `- ${name}: ${value}`), ''].join('\n');
}

/** A prompt of plain prose, long enough for the longest that can be asked for. */
export const PROSE = `A river has no need of a map. It leaves the spring as a thread of cold water, finds the lowest stone, and goes round
it; a mile later it is a brook with minnows, and ten miles later a miller has built a wheel across it and two villages quarrel over
who may fish above the weir. Old people there tell of the year in which the river changed its bed in a single night. They woke to
silence, walked out with lamps, and found their bridge standing over gravel and puddles, while the water ran past the church on the
other side of the hill. Nobody was drowned, but the miller had to carry his stones across two fields, and for a generation the boats
of the ferrymen lay in a meadow where children used them as castles. The surveyor who came from the city drew a careful chart of the
new course, signed it, and hung it in the hall. In spring the river moved again. The chart is still there; visitors are told that it
shows the river on the day when somebody believed that he had finished measuring it. Engineers have since built walls, and the water
keeps to its place in most years. But when the snow melts quickly the farmers still take their tools up to the barns, and someone
always walks out at midnight with a lamp to listen, because a river, they say, is not a line on paper; it is an agreement, and every
agreement has to be made again. The children of the valley learn this early. In the school by the upper bridge there is a long table
with sand in it and a jug of water beside it, and each class is asked to draw the river with a finger, to pour, and to see what the
water thinks of the drawing. The quick ones build dams, and the dams hold until somebody pours a second jug. The patient ones make
the sand a little steeper on one side, and then wait. The teacher, who has seen forty years of such rivers, gives no marks for them.
She only asks that everybody write down where the water went, and why they had believed that it would go somewhere else.`;
