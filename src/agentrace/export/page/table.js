// The table of steps: of thousands of rows those that are in sight are elements, and used again for the next.

const ROW = 26; // pixels, as in the style
const AHEAD = 8;
const LEVELS = 18;
const INDENT = 16;

function makeTable(rows, sight, time, onChoose) {
  const table = byId('table');
  const inside = byId('rows');
  const pool = [];
  const view = { chosen: -1 };
  let asked = false;

  view.draw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      drawNow();
    });
  };

  function drawNow() {
    const first = Math.max(0, Math.floor(table.scrollTop / ROW) - AHEAD);
    const last = Math.min(sight.seen.length, Math.ceil((table.scrollTop + table.clientHeight) / ROW) + AHEAD);
    inside.style.height = `${sight.seen.length * ROW}px`;
    table.setAttribute('aria-rowcount', String(sight.seen.length));
    while (pool.length < last - first) {
      pool.push(makeRow());
      inside.append(pool.at(-1).line);
    }
    pool.forEach((made, number) => {
      const position = first + number;
      made.line.hidden = position >= last;
      if (position < last) fillRow(made, sight.seen[position], position);
      else made.line.removeAttribute('id');
    });
    const chosen = view.chosen >= 0 ? sight.position[view.chosen] : -1;
    if (chosen >= first && chosen < last) table.setAttribute('aria-activedescendant', `row-${view.chosen}`);
    else table.removeAttribute('aria-activedescendant');
  }

  function fillRow(made, row, position) {
    const { line } = made;
    const status = rows.statusOf(row);
    line.id = `row-${row}`;
    line.dataset.row = row;
    line.style.transform = `translateY(${position * ROW}px)`;
    line.className = `row ${rows.colourOf(row)}${rows.isBad(row) ? ' bad' : ''}${row === view.chosen ? ' chosen' : ''}${
      sight.isFiltered() && !sight.isWanted(row) ? ' around' : ''
    }`;
    line.setAttribute('aria-level', String(rows.depth[row] + 1));
    line.setAttribute('aria-rowindex', String(position + 1));
    line.setAttribute('aria-selected', String(row === view.chosen));
    if (rows.isParent(row)) line.setAttribute('aria-expanded', String(!sight.folded.has(row)));
    else line.removeAttribute('aria-expanded');
    made.number.textContent = rows.id[row] || '';
    made.name.style.paddingLeft = `${Math.min(rows.depth[row], LEVELS) * INDENT + 4}px`;
    made.fold.textContent = rows.isParent(row) ? (sight.folded.has(row) ? '▸' : '▾') : '';
    made.mark.textContent = MARKS.get(status) ?? (rows.flags[row] & PARALLEL ? '∥' : '');
    made.mark.className = MARKS.has(status) ? 'mark' : 'mark beside';
    made.mark.title = MARKS.has(status) ? status : made.mark.textContent ? 'ran beside another step' : '';
    made.kind.textContent = plain(rows.kindOf(row));
    made.label.textContent = plain(rows.modelOf(row) || rows.nameOf(row));
    made.also.textContent = rows.modelOf(row) ? plain(rows.nameOf(row)) : '';
    made.remark.textContent = plain(rows.remarkOf(row));
    made.time.textContent =
      rows.type[row] === INFERRED ? '' : duration(rows.duration[row]) + (OPEN.has(status) ? '+' : '');
    made.tokens.textContent = tokens(row);
    fillBar(made, row);
  }

  function tokens(row) {
    if (rows.input[row] < 0) return '';
    const output = rows.output[row] ? ` → ${grouped(rows.output[row])}` : '';
    return `${grouped(rows.input[row])}${output}`;
  }

  function fillBar(made, row) {
    const start = rows.start[row];
    const end = start + rows.duration[row];
    const left = Math.max(0, time.share(start));
    const right = Math.min(1, time.share(end));
    made.bar.hidden = rows.type[row] === INFERRED || left > 1 || right < 0;
    if (made.bar.hidden) return;
    made.bar.style.left = `${Math.min(left, 0.998) * 100}%`;
    made.bar.style.width = `${Math.max(0, right - left) * 100}%`;
    const until = Math.min(right, Math.max(left, time.share(start + rows.first[row])));
    made.wait.style.width = rows.first[row] && right > left ? `${((until - left) / (right - left)) * 100}%` : '0';
  }

  // --- choosing ---------------------------------------------------------------------------------------------

  view.choose = (row, { centre = false } = {}) => {
    if (row < 0 || row >= rows.count) return;
    if (sight.position[row] < 0) {
      sight.reveal(row);
      sight.update();
    }
    view.chosen = row;
    inside.style.height = `${sight.seen.length * ROW}px`; // before anything is drawn there is nothing to scroll in
    const at = sight.position[row] * ROW;
    const room = table.clientHeight;
    if (centre) table.scrollTop = at - room / 2;
    else if (at < table.scrollTop) table.scrollTop = at;
    else if (at + ROW > table.scrollTop + room) table.scrollTop = at + ROW - room;
    view.draw();
    onChoose(row);
  };

  view.move = (by) => {
    if (!sight.seen.length) return;
    const now = view.chosen < 0 ? -1 : sight.position[view.chosen];
    view.choose(sight.seen[Math.min(sight.seen.length - 1, Math.max(0, now + by))]);
  };

  view.foldOr = (row, folds) => {
    if (row < 0) return;
    if (rows.isParent(row) && sight.folded.has(row) !== folds) {
      if (folds) sight.folded.add(row);
      else sight.folded.delete(row);
      sight.update();
      view.draw();
    } else if (folds && rows.parent[row] >= 0) {
      view.choose(rows.parent[row]);
    } else if (!folds && rows.isParent(row)) {
      view.move(1);
    }
  };

  /** The next row, from the chosen one on or back, for which ``is`` holds; the first again after the last. */
  view.next = (is, by) => {
    const count = sight.seen.length;
    const from = view.chosen < 0 || sight.position[view.chosen] < 0 ? (by > 0 ? -1 : count) : sight.position[view.chosen];
    for (let step = 1; step <= count; step += 1) {
      const row = sight.seen[(((from + by * step) % count) + count) % count];
      if (is(row)) {
        view.choose(row, { centre: true });
        return;
      }
    }
  };

  table.addEventListener('scroll', view.draw, { passive: true });
  table.addEventListener('click', (event) => {
    const line = event.target.closest('.row');
    if (!line) return;
    const row = Number(line.dataset.row);
    if (event.target.closest('.fold') && rows.isParent(row)) view.foldOr(row, !sight.folded.has(row));
    else view.choose(row);
  });
  table.addEventListener('dblclick', (event) => {
    const line = event.target.closest('.row');
    if (!line || !event.target.closest('.bars')) return;
    const row = Number(line.dataset.row);
    const margin = Math.max(rows.duration[row] * 0.05, NARROWEST);
    time.show(rows.start[row] - margin, rows.start[row] + rows.duration[row] + margin);
  });
  table.addEventListener(
    'wheel',
    (event) => {
      const bars = event.target.closest?.('.bars');
      if (bars && (event.ctrlKey || event.metaKey || event.shiftKey)) time.turn(event, bars);
    },
    { passive: false },
  );
  followPointer(table, {
    start: () => time.from,
    move: (event, from, down) => {
      const bars = down.target.closest?.('.bars');
      if (!bars) return;
      const by = ((down.clientX - event.clientX) / bars.clientWidth) * (time.to - time.from);
      time.show(from + by, from + by + (time.to - time.from));
    },
  });
  return view;
}

function makeRow() {
  const cell = (classes, ...content) => {
    const made = make('div', classes, ...content);
    made.setAttribute('role', 'gridcell');
    return made;
  };
  const parts = {
    fold: make('span', 'fold'),
    mark: make('span', 'mark'),
    kind: make('span', 'kind'),
    label: make('span', 'label'),
    also: make('span', 'also'),
    remark: make('span', 'remark'),
    wait: make('span', 'wait'),
  };
  parts.fold.setAttribute('aria-hidden', 'true');
  parts.bar = make('span', 'bar', parts.wait);
  parts.number = cell('num');
  parts.name = cell('name', parts.fold, parts.mark, parts.kind, parts.label, parts.also, parts.remark);
  parts.time = cell('time');
  parts.tokens = cell('tokens');
  parts.line = make('div', 'row', parts.number, parts.name, parts.time, parts.tokens, cell('bars', parts.bar));
  parts.line.setAttribute('role', 'row');
  return parts;
}
