// The rows of the tree: which of them are seen, after folding and filtering.

const STEP = 0;
const INFERRED = 1;
const PARALLEL = 1;
const BAD = new Set(['failed', 'aborted']);
const OPEN = new Set(['running', 'pending', 'interrupted']);
const MARKS = new Map([
  ['failed', '✗'], ['aborted', '✗'], ['cancelled', '⊘'], ['running', '▸'], ['pending', '▸'], ['interrupted', '…'],
  ['inferred', '?'],
]);
// Kinds that have a colour of their own. A kind is what a trace says it is, so it never becomes a class by itself.
const COLOURED = new Set(['model', 'embedding', 'tool', 'retriever', 'process', 'job', 'agent']);

/** The rows, from the columns as they stand in the file. */
function makeRows(columns) {
  const count = columns.depth.length;
  const parent = new Int32Array(count).fill(-1);
  const after = new Int32Array(count).fill(count); // the first row that is not inside
  const above = [];
  for (let row = 0; row < count; row += 1) {
    while (above.length && columns.depth[above.at(-1)] >= columns.depth[row]) after[above.pop()] = row;
    if (above.length) parent[row] = above.at(-1);
    above.push(row);
  }
  const text = (column, row) => columns.texts[columns[column][row]];
  let begin = Infinity; // of the time line: when the first row began
  let total = 0;
  for (let row = 0; row < count; row += 1) {
    if (columns.type[row] !== INFERRED) begin = Math.min(begin, columns.start[row]);
    total = Math.max(total, columns.start[row] + columns.duration[row]);
  }
  begin = Math.min(begin, total);
  return {
    ...columns,
    count,
    parent,
    after,
    begin,
    total: Math.max(total, begin + 1),
    kindOf: (row) => text('kind', row),
    nameOf: (row) => text('name', row),
    statusOf: (row) => text('status', row),
    modelOf: (row) => text('model', row),
    remarkOf: (row) => text('remark', row),
    isBad: (row) => BAD.has(text('status', row)),
    colourOf: (row) => (COLOURED.has(text('kind', row)) ? text('kind', row) : 'other'),
    isParent: (row) => after[row] > row + 1,
  };
}

/** What is folded and asked for, and the rows that are seen for it. */
function makeSight(rows) {
  const sight = {
    seen: [],
    folded: new Set(),
    hidden: new Set(), // kinds
    onlyBad: false,
    query: '',
    hits: null, // 1 for each row whose name or payloads have the query
    found: 0,
    position: new Int32Array(rows.count), // of a row among those that are seen; -1
  };

  const wanted = (row) =>
    !(sight.onlyBad && !rows.isBad(row)) && !sight.hidden.has(rows.kindOf(row)) && !(sight.hits && !sight.hits[row]);

  sight.isFiltered = () => sight.onlyBad || sight.hidden.size > 0 || sight.hits !== null;
  sight.isWanted = wanted;

  sight.update = () => {
    const filtered = sight.isFiltered();
    const kept = new Uint8Array(rows.count);
    sight.found = 0;
    for (let row = rows.count - 1; row >= 0; row -= 1) {
      if (filtered && wanted(row)) {
        sight.found += 1;
        for (let at = row; at >= 0 && !kept[at]; at = rows.parent[at]) kept[at] = 1;
      }
    }
    sight.seen = [];
    sight.position.fill(-1);
    for (let row = 0; row < rows.count; ) {
      if (!filtered || kept[row]) {
        sight.position[row] = sight.seen.length;
        sight.seen.push(row);
      }
      row = sight.folded.has(row) ? rows.after[row] : row + 1;
    }
  };

  sight.foldAll = () => {
    for (let row = 0; row < rows.count; row += 1) if (rows.isParent(row)) sight.folded.add(row);
  };

  /** Unfold whatever hides a row. */
  sight.reveal = (row) => {
    for (let at = rows.parent[row]; at >= 0; at = rows.parent[at]) sight.folded.delete(at);
  };

  sight.update();
  return sight;
}
