// The data of the page: what stands in its blocks, read when it is asked for.
//
// A part is a string, number, true, false or null, or an array that says by its first element what it is.

const LIST = 0;
const MAPPING = 1;
const PART = 2;
const NUMBER = 3;
const KEPT_BLOCKS = 48;

const head = JSON.parse(byId('head').textContent);
const keptBlocks = new Map();

const parsed = new Promise((resolve) => {
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', resolve, { once: true });
  else resolve();
});

/** The JSON in the element ``id``, of which the file may not be read so far. */
async function unpacked(id) {
  if (!byId(id)) await parsed;
  const binary = atob(byId(id).textContent);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

/** The parts of block ``number``; the blocks that were used last are kept. */
function block(number) {
  const kept = keptBlocks.get(number) ?? unpacked(`block-${number}`);
  keptBlocks.delete(number);
  keptBlocks.set(number, kept);
  if (keptBlocks.size > KEPT_BLOCKS) keptBlocks.delete(keptBlocks.keys().next().value);
  return kept;
}

function blockOf(part) {
  let low = 0;
  let high = head.first.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (head.first[middle] <= part) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What a value is: itself, or the part that it names. */
async function resolved(value) {
  if (!Array.isArray(value) || value[0] !== PART) return value;
  const number = blockOf(value[1]);
  return (await block(number))[value[1] - head.first[number]];
}

/** The entries of a mapping by their keys. */
async function mapped(value) {
  const found = await resolved(value);
  const entries = new Map();
  if (Array.isArray(found) && found[0] === MAPPING) {
    for (let at = 1; at < found.length; at += 2) entries.set(found[at], found[at + 1]);
  }
  return entries;
}

async function listed(value) {
  const found = await resolved(value);
  return Array.isArray(found) && found[0] === LIST ? found.slice(1) : [];
}

/** A scalar as text; empty for none. */
async function textOf(value) {
  const found = await resolved(value);
  if (Array.isArray(found)) return found[0] === NUMBER ? found[1] : '';
  return found === null || found === undefined ? '' : String(found);
}
