// The page: what stands above the tree, the tools, the keys, and everything joined.

const PAUSE = 120; // ms after the last letter of a query

const KEYS = [
  ['↑ ↓  or  k j', 'the step above, below'],
  ['← →', 'fold, unfold; out to the enclosing step, into the first inside'],
  ['Shift+← Shift+→', 'fold, unfold everything'],
  ['Enter', 'into the panel of the step; Escape leads back'],
  ['/', 'search names and payloads'],
  ['n  p', 'the next, previous step that was found'],
  ['e  Shift+E', 'the next, previous step that failed'],
  ['+  −  0', 'zoom in, out, the whole run'],
  ['z', 'zoom to the chosen step'],
  ['[  ]', 'earlier, later'],
  ['Escape', 'close the panel, clear the search'],
];

function drawHead() {
  const status = make('span', `status ${statusClass(head.status)}`, plain(head.status));
  const took = `${head.ended ? 'in' : 'after'} ${duration(head.duration_ns)}`;
  const exit = head.exit_code ? `exit code ${head.exit_code}` : '';
  byId('title').append(make('h1', '', plain(head.name || '?')), status, make('span', 'took', took), make('span', 'took', exit));
  const commit = head.git_commit ? `commit ${plain(head.git_commit).slice(0, 10)}` : '';
  const started = head.started ? plain(head.started).replace('T', ' ').replace(/\.\d+Z$/, ' UTC') : '';
  const facts = [plain(head.run_id), started, plain(head.python), commit, plain(head.cwd)];
  byId('about').append(...facts.filter(Boolean).map((fact) => make('span', '', fact)));
  if (head.argv.length) byId('about').append(make('code', '', `$ ${plain(head.argv.join(' '))}`));
  drawTotals();
  drawVerdict();
}

function drawTotals() {
  const kinds = Object.entries(head.steps_by_kind).map(([kind, count]) => `${grouped(count)} ${plain(kind)}`);
  const told = [
    `${counted(head.steps, 'step')}${kinds.length > 1 ? `: ${kinds.join(', ')}` : ''}`,
    head.inferred ? counted(head.inferred, 'inferred tool call') : '',
    head.processes ? counted(head.processes, 'child process') : '',
    head.jobs ? counted(head.jobs, 'job') : '',
    head.retries ? counted(head.retries, 'retry') : '',
  ];
  byId('totals').append(...told.filter(Boolean).map((text) => make('span', '', text)));
  if (head.failed_steps) byId('totals').append(make('span', 'bad', `${grouped(head.failed_steps)} failed`));
  if (head.input_tokens || head.output_tokens) {
    const cached = head.cache_read ? ` (${grouped(head.cache_read)} cached)` : '';
    byId('totals').append(make('span', '', `${grouped(head.input_tokens)}${cached} tokens in, ${grouped(head.output_tokens)} out`));
  }
}

function drawVerdict() {
  const { replayable: yes, because, caveats } = head;
  const reasons = yes ? caveats : because;
  const told = make('span', `status ${yes ? 'good' : 'open'}`, `replayable: ${yes ? 'yes' : 'no'}`);
  if (reasons.length) {
    const list = make('ul', '', ...reasons.map((reason) => make('li', '', plain(reason))));
    const details = make('details', '', make('summary', '', told, make('span', '', yes ? counted(reasons.length, 'caveat') : counted(reasons.length, 'reason'))), list);
    details.open = !yes && reasons.length <= 3;
    byId('verdict').append(details);
  } else byId('verdict').append(told);
  byId('verdict').append(...head.remarks.map(([weight, text]) => make('p', `remark ${weight}`, printed(text))));
}

/** What was logged and scored outside of the steps. */
async function drawRunNotes() {
  if (head.notes < 0) return;
  const notes = await listed([PART, head.notes]);
  const made = await section(counted(notes.length, 'note'), async (into) => {
    for (const note of notes) await drawNote(into, note, '');
  });
  made.open = false;
  byId('verdict').append(made);
}

async function start() {
  const rows = makeRows(await unpacked('columns'));
  const sight = makeSight(rows);
  const time = makeTimeline(rows, () => table.draw());
  const detail = makeDetail(rows, (row) => table.choose(row, { centre: true }));
  const table = makeTable(rows, sight, time, (row) => {
    detail.show(row, sight.query);
    remember(rows, row);
  });

  byId('app').hidden = false;
  drawHead();
  drawTools(rows, sight, table, time);
  followKeys(rows, sight, table, time, detail);
  makeSplit(() => time.draw());
  const redraw = () => {
    time.draw();
    table.draw();
  };
  new ResizeObserver(redraw).observe(byId('over'));
  new ResizeObserver(table.draw).observe(byId('table'));
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', time.draw);
  redraw();
  const goThere = () => {
    const chosen = remembered(rows);
    if (chosen >= 0) table.choose(chosen, { centre: true });
  };
  goThere();
  window.addEventListener('hashchange', goThere);
  byId('table').focus({ preventScroll: true });
  await drawRunNotes();
  document.documentElement.dataset.ready = 'yes';
}

// --- what is chosen stands in the address -----------------------------------------------------------------------

function remember(rows, row) {
  const place = rows.id[row] ? `#step=${rows.id[row]}${rows.run[row] ? `&run=${rows.run[row]}` : ''}` : `#row=${row}`;
  try {
    history.replaceState(null, '', place);
  } catch {
    // Some browsers refuse it for files; the address then says less.
  }
}

function remembered(rows) {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.has('row')) return Math.trunc(Number(asked.get('row'))) || 0;
  const step = Number(asked.get('step') ?? head.chosen);
  const run = Number(asked.get('run') ?? 0);
  if (!step) return -1;
  for (let row = 0; row < rows.count; row += 1) if (rows.id[row] === step && rows.run[row] === run) return row;
  return -1;
}

// --- tools ------------------------------------------------------------------------------------------------------

function drawTools(rows, sight, table, time) {
  const told = byId('told');
  const update = (message = '') => {
    sight.update();
    table.draw();
    told.textContent = message || (sight.isFiltered() ? `${grouped(sight.found)} of ${counted(rows.count, 'row')}` : '');
  };
  const chip = (classes, text, pressed, onChange) => {
    const made = button(classes, text, () => {
      const now = made.getAttribute('aria-pressed') !== 'true';
      made.setAttribute('aria-pressed', String(now));
      onChange(now);
      update();
    });
    made.setAttribute('aria-pressed', String(pressed));
    byId('kinds').append(made);
  };
  chip('chip failing', 'failed', false, (on) => {
    sight.onlyBad = on;
  });
  const counts = new Map();
  for (let row = 0; row < rows.count; row += 1) counts.set(rows.kindOf(row), (counts.get(rows.kindOf(row)) ?? 0) + 1);
  for (const kind of [...counts.keys()].slice(0, 40)) {
    const colour = COLOURED.has(kind) ? kind : 'other';
    chip(`chip ${colour}`, plain(kind) || '?', true, (on) => (on ? sight.hidden.delete(kind) : sight.hidden.add(kind)));
  }
  followQuery(rows, sight, update);
  const folding = { fold: () => sight.foldAll(), unfold: () => sight.folded.clear() };
  for (const [id, change] of Object.entries(folding)) {
    byId(id).addEventListener('click', () => {
      change();
      update();
    });
  }
  byId('in').addEventListener('click', () => time.zoom(0.5));
  byId('out').addEventListener('click', () => time.zoom(2));
  byId('fit').addEventListener('click', time.fit);
  byId('keys').addEventListener('click', showKeys);
}

function followQuery(rows, sight, update) {
  const box = byId('query');
  let asked = 0;
  let waiting = 0;
  const search = async () => {
    const mine = (asked += 1);
    const query = box.value.trim().toLowerCase();
    sight.query = query;
    sight.hits = query ? hitsInNames(rows, query) : null;
    sight.folded.clear();
    update(query && head.first.length ? 'searching …' : '');
    if (!query) return;
    const isOver = () => mine !== asked;
    const onProgress = (share) => {
      byId('told').textContent = `searching payloads, ${Math.round(share * 100)} %`;
    };
    const hits = sight.hits.slice();
    if (await addHitsInPayloads(rows, query, hits, isOver, onProgress)) {
      sight.hits = hits;
      update();
    }
  };
  box.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, PAUSE);
  });
}

function showKeys() {
  const help = byId('help');
  const list = make('dl');
  for (const [keys, what] of KEYS) list.append(make('dt', '', keys), make('dd', '', what));
  const close = button('', 'Close', () => help.close());
  const pointer = 'Drag over the small picture of the run to zoom, double-click it to see the whole run; Ctrl and the wheel zoom over the bars, dragging them moves in time.';
  help.replaceChildren(make('h2', '', 'Keys'), list, make('p', '', pointer), close);
  help.showModal();
}

// --- keys -------------------------------------------------------------------------------------------------------

function followKeys(rows, sight, table, time, detail) {
  const page = () => Math.max(1, Math.floor(byId('table').clientHeight / ROW) - 1);
  const found = (row) => sight.isFiltered() && sight.isWanted(row);
  const zoomToChosen = () => {
    const row = table.chosen;
    if (row >= 0) time.show(rows.start[row], rows.start[row] + Math.max(rows.duration[row], NARROWEST));
  };
  const inTable = new Map([
    ['ArrowDown', () => table.move(1)],
    ['ArrowUp', () => table.move(-1)],
    ['PageDown', () => table.move(page())],
    ['PageUp', () => table.move(-page())],
    ['Home', () => table.move(-rows.count)],
    ['End', () => table.move(rows.count)],
    ['ArrowLeft', (event) => (event.shiftKey ? byId('fold').click() : table.foldOr(table.chosen, true))],
    ['ArrowRight', (event) => (event.shiftKey ? byId('unfold').click() : table.foldOr(table.chosen, false))],
    ['Enter', () => (table.chosen < 0 ? table.move(1) : detail.show(table.chosen, sight.query).then(() => byId('detail').focus()))],
  ]);
  const anywhere = new Map([
    ['j', () => table.move(1)],
    ['k', () => table.move(-1)],
    ['n', () => table.next(found, 1)],
    ['p', () => table.next(found, -1)],
    ['e', () => table.next(rows.isBad, 1)],
    ['E', () => table.next(rows.isBad, -1)],
    ['+', () => time.zoom(0.5)],
    ['=', () => time.zoom(0.5)],
    ['-', () => time.zoom(2)],
    ['0', time.fit],
    ['z', zoomToChosen],
    ['[', () => time.pan(-0.25)],
    [']', () => time.pan(0.25)],
    ['/', () => byId('query').select()],
    ['?', showKeys],
  ]);
  const leave = () => {
    if (document.activeElement === byId('query')) {
      byId('query').value = '';
      byId('query').dispatchEvent(new Event('input'));
      byId('table').focus();
    } else if (detail.row >= 0 && byId('detail').contains(document.activeElement)) byId('table').focus();
    else if (detail.row >= 0) detail.close();
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open) return;
    const typing = event.target === byId('query');
    const isInTable = event.target === byId('table') || event.target === document.body;
    let action;
    if (event.key === 'Escape') action = leave;
    else if (typing) action = event.key === 'Enter' || event.key === 'ArrowDown' ? () => byId('table').focus() : undefined;
    else action = (isInTable && inTable.get(event.key)) || anywhere.get(event.key);
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

/** The line between the table and the panel, which is dragged or moved by arrows. */
function makeSplit(onChange) {
  const split = byId('split');
  const set = (pixels) => {
    const width = Math.round(Math.min(window.innerWidth * 0.75, Math.max(280, pixels)));
    document.documentElement.style.setProperty('--panel', `${width}px`);
    split.setAttribute('aria-valuenow', String(width));
    onChange();
  };
  followPointer(split, { start: () => 0, move: (event) => set(window.innerWidth - event.clientX) });
  split.addEventListener('keydown', (event) => {
    const by = new Map([['ArrowLeft', 40], ['ArrowRight', -40]]).get(event.key);
    if (by) set(byId('detail').offsetWidth + by);
  });
}

start().catch((error) => {
  const told = typeof DecompressionStream === 'undefined' ? 'This browser is too old to read the page (it has no DecompressionStream).' : `The page cannot be shown: ${error}`;
  document.body.prepend(make('p', 'broken', told));
});
