// Words and numbers as people read them, and elements made of text. Nothing here, or anywhere in the page, reads
// text as markup: what a trace says only ever becomes the text of an element.

const MS = 1e6;
const S = 1e9;

function duration(ns) {
  if (ns > 0 && ns < 50_000) return ns < 1000 ? `${ns} ns` : `${(ns / 1000).toFixed(0)} µs`; // which is no 0.0 ms
  if (ns < 10 * MS) return `${(ns / MS).toFixed(1)} ms`;
  if (ns < 999.5 * MS) return `${(ns / MS).toFixed(0)} ms`;
  if (ns < 9.995 * S) return `${(ns / S).toFixed(2)} s`;
  if (ns < 59.95 * S) return `${(ns / S).toFixed(1)} s`;
  const seconds = Math.round(ns / S);
  const two = (number) => String(number).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

const grouped = (number) => number.toLocaleString('en-US');

function counted(count, what) {
  const plural = what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}${what.endsWith('s') ? 'es' : 's'}`;
  return `${grouped(count)} ${count === 1 ? what : plural}`;
}

// What a browser would obey, draw elsewhere or not draw at all: control characters, writing direction, invisible
// characters, halves of characters.
const OBEYED = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]' +
    '|\\udb40[\\udc00-\\udc7f]|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]',
  'g',
);
const SHORT = new Map([['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t']]);

function escaped(found) {
  const code = found.codePointAt(0);
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

/** Text as one line that only prints. */
const plain = (text) => String(text).replace(OBEYED, (found) => SHORT.get(found) ?? escaped(found));

/** Text that only prints, its lines and tabs kept. */
const printed = (text) => String(text).replace(OBEYED, (found) => (found === '\n' || found === '\t' ? found : escaped(found)));

/** A new element with classes and content: texts, and elements. */
function make(tag, classes = '', ...content) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...content.filter((part) => part !== null && part !== undefined && part !== ''));
  return element;
}

function button(classes, text, onClick) {
  const made = make('button', classes, text);
  made.type = 'button';
  made.addEventListener('click', onClick);
  return made;
}

const byId = (id) => document.getElementById(id);

/** ``text`` put into ``element`` with every occurrence of ``query`` marked. */
function putMarked(element, text, query) {
  const lower = query ? text.toLowerCase() : '';
  if (!query || lower.length !== text.length) {
    element.append(text);
    return;
  }
  let done = 0;
  for (let at = lower.indexOf(query); at >= 0; at = lower.indexOf(query, done)) {
    element.append(text.slice(done, at), make('mark', '', text.slice(at, at + query.length)));
    done = at + query.length;
  }
  element.append(text.slice(done));
}
