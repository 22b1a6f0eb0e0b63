// A small, safe subset of Markdown: paragraphs, headings, lists, fenced and inline code, bold and italics. It builds DOM
// nodes and never parses HTML, so nothing that a model writes can run.

const INLINE = /(`[^`\n]+`)|(\*\*[^*\n]+\*\*)|(\*[^*\s][^*\n]*\*)/g;

/** Appends a line's inline formatting to `parent`. */
function inline(parent, text) {
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    parent.append(text.slice(at, match.index));
    const [whole, code, bold] = match;
    const element = document.createElement(code ? 'code' : bold ? 'strong' : 'em');
    element.textContent = bold ? whole.slice(2, -2) : whole.slice(1, -1);
    parent.append(element);
    at = match.index + whole.length;
  }
  parent.append(text.slice(at));
}

/** The nodes of a text; an unfinished code fence runs to the end, so streaming text renders at any moment. */
export function render(text) {
  const fragment = document.createDocumentFragment();
  const lines = text.split('\n');
  const add = (tag, parent = fragment) => parent.appendChild(document.createElement(tag));
  let paragraph;
  let list;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (/^\s*```/.test(line)) {
      const end = lines.findIndex((other, j) => j > i && /^\s*```\s*$/.test(other));
      const stop = end < 0 ? lines.length : end;
      add('code', add('pre')).textContent = lines.slice(i + 1, stop).join('\n');
      i = stop;
      paragraph = list = undefined;
      continue;
    }
    const heading = /^(#{1,4})\s+(.*)/.exec(line);
    const item = /^\s*(?:([-*•])|(\d+)[.)])\s+(.*)/.exec(line);
    if (heading) {
      inline(add(`h${Math.min(heading[1].length + 2, 6)}`), heading[2]);
      paragraph = list = undefined;
    } else if (item) {
      const tag = item[1] ? 'UL' : 'OL';
      if (list?.tagName !== tag) {
        list = add(tag);
        if (item[2]) list.start = Number(item[2]);
      }
      inline(add('li', list), item[3]);
      paragraph = undefined;
    } else if (line.trim() === '') {
      paragraph = undefined;
    } else {
      if (paragraph) add('br', paragraph);
      else paragraph = add('p');
      inline(paragraph, line);
      list = undefined;
    }
  }
  return fragment;
}
