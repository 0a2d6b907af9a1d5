// Recorded values as people read them: keys and indentation, texts as they are, long ones in portions.

const SHORT_TEXT = 72;
const LONG_TEXT = 6000;
const PORTION = 100000;
const MANY = 60; // entries of one list or mapping that are shown at first:
const FIRST = 10; // those at its beginning, the others at its end, where what is new in a conversation stands
const OPEN_LEVELS = 4;
const OPEN_ENTRIES = 2000;

/** ``value`` drawn into ``parent``; what is deep in it, or long, is drawn when it is asked for. */
async function drawValue(parent, value, query, level = 0) {
  const found = await resolved(value);
  if (!Array.isArray(found) || found[0] === NUMBER) {
    parent.append(scalar(found, query));
    return;
  }
  const isList = found[0] === LIST;
  const count = isList ? found.length - 1 : (found.length - 1) / 2;
  if (count === 0) {
    parent.append(make('span', 'value empty', isList ? '[]' : '{}'));
    return;
  }
  const entries = make('div', 'entries');
  parent.append(entries);
  await drawEntries(entries, found, query, level);
}

async function drawEntries(parent, found, query, level) {
  const isList = found[0] === LIST;
  const count = isList ? found.length - 1 : (found.length - 1) / 2;
  const made = async (from, to) => {
    const drawn = [];
    for (let at = from; at < to; at += 1) {
      const key = isList ? String(at) : found[1 + 2 * at];
      drawn.push(await entry(key, isList ? found[1 + at] : found[2 + 2 * at], isList, query, level));
    }
    return drawn;
  };
  if (count <= MANY) {
    parent.append(...(await made(0, count)));
    return;
  }
  const gap = (from, to) => {
    const next = Math.min(to, from + 10 * MANY);
    const more = button('more', counted(to - from, 'more entry'), async () => {
      more.replaceWith(...(await made(from, next)), ...(next < to ? [gap(next, to)] : []));
    });
    return more;
  };
  const last = count - (MANY - FIRST);
  parent.append(...(await made(0, FIRST)), gap(FIRST, last), ...(await made(last, count)));
}

async function entry(key, value, isItem, query, level) {
  const found = await resolved(value);
  const name = make('span', isItem ? 'key item' : 'key');
  putMarked(name, plain(key), query);
  const isContainer = Array.isArray(found) && found[0] !== NUMBER && found.length > 1;
  if (!isContainer) return make('div', 'entry', name, await drawn(found, query, level));
  const isList = found[0] === LIST;
  const count = isList ? found.length - 1 : (found.length - 1) / 2;
  const size = make('span', 'size', isList ? `[${grouped(count)}]` : `{${grouped(count)}}`);
  const summary = make('summary', '', name, size, make('span', 'hint', await hint(found)));
  const details = make('details', 'entry', summary);
  let filled = false;
  const fill = async () => {
    if (filled) return;
    filled = true;
    const inside = make('div', 'entries');
    details.append(inside);
    await drawEntries(inside, found, query, level + 1);
  };
  if (level < OPEN_LEVELS && count <= OPEN_ENTRIES) {
    details.open = true;
    await fill();
  }
  details.addEventListener('toggle', fill);
  return details;
}

async function drawn(found, query, level) {
  const holder = make('span', 'holder');
  await drawValue(holder, found, query, level);
  return holder;
}

/** What is worth reading of a mapping that is folded: who speaks in a message, what an array is. */
async function hint(found) {
  if (found[0] !== MAPPING) return '';
  for (let at = 1; at < found.length; at += 2) {
    if (['role', '$summary', '$type', 'name', 'type'].includes(found[at])) return plain(await textOf(found[at + 1])).slice(0, 120);
  }
  return '';
}

function scalar(found, query) {
  if (typeof found === 'string') return textElement(found, query);
  if (Array.isArray(found)) return make('span', 'value number', plain(found[1]));
  return make('span', `value ${typeof found === 'number' ? 'number' : 'word'}`, String(found));
}

/** A text: short ones in the line, long ones as a block of their own of which the first part is shown. */
function textElement(text, query) {
  if (text.length <= SHORT_TEXT && !text.includes('\n')) {
    const short = make('span', text ? 'value text' : 'value empty');
    putMarked(short, text ? plain(text) : '""', query);
    return short;
  }
  const whole = make('div', 'long');
  const shown = make('pre', 'value text');
  whole.append(shown);
  let done = 0;
  const show = (until) => {
    putMarked(shown, printed(text.slice(done, until)), query);
    done = Math.min(until, text.length);
    if (done >= text.length) return;
    const more = button('more', `${counted(text.length - done, 'more character')}`, () => {
      more.remove();
      show(done + PORTION);
    });
    whole.append(more);
  };
  show(LONG_TEXT);
  return whole;
}
