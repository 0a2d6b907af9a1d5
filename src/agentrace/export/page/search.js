// Search: at once in the names, then in everything else, block by block.
//
// What a part refers to has a smaller number, so one pass over the parts in their order knows of each whether the query
// is in it, or in anything below it.

/** 1 for each row that has ``query`` in what the table shows of it. */
function hitsInNames(rows, query) {
  const has = rows.texts.map((text) => String(text).toLowerCase().includes(query));
  const hits = new Uint8Array(rows.count);
  for (let row = 0; row < rows.count; row += 1) {
    hits[row] = has[rows.name[row]] || has[rows.model[row]] || has[rows.kind[row]] || has[rows.remark[row]] ? 1 : 0;
  }
  return hits;
}

/** Add the rows with ``query`` in their payloads to ``hits``; false if ``isOver()`` came to be true meanwhile. */
async function addHitsInPayloads(rows, query, hits, isOver, onProgress) {
  const matched = new Uint8Array(head.parts);
  const isDetail = new Uint8Array(head.parts);
  for (const part of rows.detail) if (part >= 0) isDetail[part] = 1;

  const has = (value) => {
    if (typeof value === 'string') return value.toLowerCase().includes(query);
    if (!Array.isArray(value)) return value !== null && String(value).includes(query);
    if (value[0] === PART) return matched[value[1]] === 1;
    if (value[0] === MAPPING) return value.some((item, at) => at > 0 && has(item));
    return value.some((item, at) => at > 0 && has(item));
  };
  // The keys of a step are the page's own words, and its path repeats the names of the steps around it.
  const hasDetail = (value) => {
    if (!Array.isArray(value) || value[0] !== MAPPING) return has(value);
    for (let at = 1; at < value.length; at += 2) if (value[at] !== 'path' && has(value[at + 1])) return true;
    return false;
  };

  for (let number = 0; number < head.first.length; number += 1) {
    const parts = await unpackedOrKept(number);
    if (isOver()) return false;
    const first = head.first[number];
    parts.forEach((part, at) => {
      matched[first + at] = (isDetail[first + at] ? hasDetail(part) : has(part)) ? 1 : 0;
    });
    onProgress((number + 1) / head.first.length);
  }
  for (let row = 0; row < rows.count; row += 1) {
    if (rows.detail[row] >= 0 && matched[rows.detail[row]]) hits[row] = 1;
  }
  return true;
}

/** A block, without driving out those that are kept. */
const unpackedOrKept = (number) => keptBlocks.get(number) ?? unpacked(`block-${number}`);
