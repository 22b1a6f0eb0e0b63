// The transcript on the page: words that light up with the player, lead to their sound, and can be edited.

const shown = (seconds) => {
  const s = Math.floor(seconds);
  const pad = (value) => String(value).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}` : `${Math.floor(s / 60)}:${pad(s % 60)}`;
};

/** What stands before a word: a space, where the language has spaces. */
const spaceOf = ({ text }) => text.slice(0, text.length - text.trimStart().length);

/** Connects the list. `onSeek` hears of the time of a word or segment that was chosen, and whether to play from there. */
export function connectTranscript(list, onSeek) {
  /** Segments as they came, each with its element. */
  let rows = [];
  let now;

  function add(segment) {
    const item = document.createElement('li');
    const time = document.createElement('button');
    time.className = 'time quiet';
    time.textContent = shown(segment.start);
    time.setAttribute('aria-label', `Play from ${shown(segment.start)}`);
    time.onclick = () => onSeek(segment.start, true);
    const text = document.createElement('div');
    text.className = 'text';
    text.contentEditable = 'plaintext-only';
    text.spellcheck = true;
    text.setAttribute('role', 'textbox');
    text.setAttribute('aria-multiline', 'true');
    text.setAttribute('aria-label', `Text at ${shown(segment.start)}`);
    if (segment.words?.length) {
      segment.words.forEach((word, i) => {
        const span = document.createElement('span');
        span.dataset.word = i;
        span.textContent = word.text.trimStart();
        if (i > 0) text.append(spaceOf(word));
        text.append(span);
      });
    } else {
      text.textContent = segment.text.trim();
    }
    text.onclick = ({ target }) => {
      const word = segment.words?.[target.dataset?.word];
      if (word) onSeek(word.start, false);
    };
    item.append(time, text);
    list.append(item);
    rows.push({ segment, item, text });
  }

  /** The element at a time: a word's, or a segment's. */
  function elementAt(seconds) {
    const row = rows.findLast(({ segment }) => segment.start <= seconds);
    if (!row || seconds > row.segment.end + 0.5) return undefined;
    const { words } = row.segment;
    if (!words?.length) return row.item;
    const index = words.findLastIndex((word) => word.start <= seconds);
    return row.text.querySelector(`[data-word="${Math.max(index, 0)}"]`) ?? undefined;
  }

  return {
    clear() {
      rows = [];
      now = undefined;
      list.replaceChildren();
    },
    add,
    /** Lights up what is said at this moment. */
    follow(seconds) {
      const next = elementAt(seconds);
      if (next === now) return;
      now?.classList.remove('now');
      next?.classList.add('now');
      now = next;
    },
    /** The segments as they were edited. Words that are gone have no time any more. */
    segments: () =>
      rows.map(({ segment, text }) => {
        const edited = { ...segment, text: ` ${text.textContent.trim()}` };
        if (segment.words) {
          const spans = [...text.querySelectorAll('[data-word]')];
          edited.words = spans.map((span) => {
            const word = segment.words[span.dataset.word];
            return { ...word, text: spaceOf(word) + span.textContent };
          }).filter((word) => word.text.trim() !== '');
        }
        return edited;
      }).filter(({ text }) => text.trim() !== ''),
    get isEmpty() {
      return rows.length === 0;
    },
  };
}
