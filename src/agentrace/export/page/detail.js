// The panel with one step in full.

const FACTS = [
  ['started', 'started'],
  ['path', 'path'],
  ['operation', 'operation'],
  ['call_site', 'called at'],
  ['integration', 'recorded by'],
  ['model', 'model'],
  ['finish_reason', 'finished by'],
  ['outcome', 'outcome'],
  ['run_id', 'run'],
  ['parent_run_id', 'started by run'],
  ['parent_step_id', 'in its step'],
  ['exit_code', 'exit code'],
  ['retries', 'retries'],
  ['task', 'task'],
  ['thread', 'thread'],
  ['scope_quality', 'order'],
  ['input_fidelity', 'input kept'],
  ['output_fidelity', 'output kept'],
  ['asked_by', 'asked for by step'],
  ['call_id', 'call id'],
];

function makeDetail(rows, choose) {
  const panel = byId('detail');
  const state = { row: -1, drawing: 0 };

  state.clear = () => {
    state.row = -1;
    document.body.classList.remove('detailed');
    panel.replaceChildren();
  };

  /** Show ``row``; a row that is asked for meanwhile wins. */
  state.show = async (row, query) => {
    const mine = (state.drawing += 1);
    state.row = row;
    const drawn = document.createDocumentFragment();
    drawn.append(headOf(row));
    const detail = rows.detail[row] >= 0 ? await mapped([PART, rows.detail[row]]) : new Map();
    drawn.append(await factsOf(row, detail));
    await sections(drawn, detail, query);
    if (mine !== state.drawing) return;
    document.body.classList.add('detailed');
    panel.replaceChildren(drawn);
    panel.scrollTop = 0;
  };

  function headOf(row) {
    const title = make('h2', '', make('span', `kind ${rows.colourOf(row)}`, plain(rows.kindOf(row))), plain(rows.modelOf(row) || rows.nameOf(row)));
    const status = make('span', `status ${statusClass(rows.statusOf(row))}`, plain(rows.statusOf(row)));
    const facts = [status];
    if (rows.type[row] !== INFERRED) facts.push(make('span', '', `${duration(rows.duration[row])}, from ${duration(rows.start[row])} on`));
    if (rows.first[row]) facts.push(make('span', '', `first piece after ${duration(rows.first[row])}`));
    const close = button('close', '×', state.close);
    close.setAttribute('aria-label', 'Close');
    const top = make('div', 'top', trail(row), make('div', 'title', title, close), make('p', 'facts', ...facts));
    top.dataset.row = row;
    return top;
  }

  /** The rows around a row, from the outermost on. */
  function trail(row) {
    const above = [];
    for (let at = rows.parent[row]; at >= 0; at = rows.parent[at]) above.unshift(at);
    const made = make('nav', 'trail');
    made.setAttribute('aria-label', 'Inside of');
    if (above.length > 4) made.append(make('span', '', '… ›'));
    for (const at of above.slice(-4)) made.append(button('', plain(rows.nameOf(at)), () => choose(at)), make('span', '', '›'));
    made.append(make('span', '', rows.id[row] ? `step ${rows.id[row]}` : plain(rows.kindOf(row))));
    return made;
  }

  async function factsOf(row, detail) {
    const made = make('dl');
    const tell = (name, text) => text && made.append(make('dt', '', name), make('dd', '', text));
    for (const [key, name] of FACTS) {
      if (detail.has(key)) tell(name, plain(await textOf(detail.get(key))));
    }
    tell('tokens', await usage(detail));
    if (detail.has('chunks')) tell('stream', counted(Number(await textOf(detail.get('chunks'))), 'piece'));
    const inside = rows.after[row] - row - 1;
    if (inside) tell('inside', counted(inside, 'row'));
    return made;
  }

  async function sections(drawn, detail, query) {
    if (detail.has('exception')) drawn.append(await section('error', (into) => drawFailure(into, detail.get('exception'), query), 'bad'));
    for (const name of ['input', 'output']) {
      if (detail.has(name)) drawn.append(await section(name, (into) => drawValue(into, detail.get(name), query)));
    }
    if (detail.has('notes')) {
      drawn.append(await section('notes and scores', async (into) => {
        for (const note of await listed(detail.get('notes'))) await drawNote(into, note, query);
      }));
    }
    const exchanges = await listed(detail.get('exchanges'));
    for (const exchange of exchanges) await drawExchange(drawn, await mapped(exchange), query);
    if (!head.payloads) drawn.append(make('p', 'absent', 'This page was made without payloads: arguments, results, messages, bodies, headers and the texts of errors are not in it.'));
  }

  state.close = () => {
    state.clear();
    byId('table').focus();
  };
  return state;
}

const statusClass = (status) => (BAD.has(status) ? 'bad' : status === 'ok' || status === 'completed' ? 'good' : 'open');

async function section(title, fill, classes = '') {
  const made = make('details', `section ${classes}`, make('summary', '', title));
  made.open = true;
  const inside = make('div', 'inside');
  made.append(inside);
  await fill(inside);
  return made;
}

async function drawFailure(into, value, query) {
  const failure = await mapped(value);
  const type = (await textOf(failure.get('type'))).replace(':', '.');
  const line = make('p', 'failure', make('strong', '', plain(type)));
  const message = await textOf(failure.get('message'));
  if (message) line.append(': ', textElement(message, query));
  into.append(line);
  for (const cause of await listed(failure.get('causes'))) {
    const told = await mapped(cause);
    const also = make('p', 'failure', 'caused by ', make('strong', '', plain((await textOf(told.get('type'))).replace(':', '.'))));
    const text = await textOf(told.get('message'));
    if (text) also.append(': ', textElement(text, query));
    into.append(also);
  }
  for (const note of await listed(failure.get('notes'))) into.append(textElement(await textOf(note), query));
  const traceback = await textOf(failure.get('traceback'));
  if (traceback) into.append(textElement(traceback, query));
}

async function drawNote(into, value, query) {
  const note = await mapped(value);
  const told = new Map();
  for (const [key, item] of note) if (key !== 'fields') told.set(key, plain(await textOf(item)));
  const time = make('span', 'at', (told.get('time') ?? '').slice(11, 23));
  const isScore = told.get('type') === 'score';
  const level = told.get('level');
  const what = isScore ? `score ${told.get('name')} ${told.get('value')}` : level;
  const line = make('p', `note${['error', 'warning'].includes(level) ? ` ${level}` : ''}`, time, make('strong', '', what));
  const by = told.get('logger') || told.get('source');
  if (by) line.append(make('span', 'at', by));
  const message = await textOf(note.get(isScore ? 'comment' : 'message'));
  if (message) line.append(textElement(message, query));
  into.append(line);
  if (note.has('fields')) await drawValue(into, note.get('fields'), query);
}

async function drawExchange(drawn, exchange, query) {
  const told = async (key) => plain(await textOf(exchange.get(key)));
  const status = await told('status');
  const title = `request ${await told('number')}: ${await told('method')} ${status || (await told('outcome'))}`;
  drawn.append(
    await section(title, async (into) => {
      into.append(make('p', 'url', await told('url')));
      const times = [];
      if (exchange.has('answered_ns')) times.push(`answered at ${duration(Number(await told('answered_ns')))}`);
      if (exchange.has('ended_ns')) times.push(`over at ${duration(Number(await told('ended_ns')))}`);
      if (exchange.has('bytes')) times.push(counted(Number(await told('bytes')), 'byte'));
      if (exchange.has('outcome')) times.push(await told('outcome'));
      into.append(make('p', 'at', times.join(', ')));
      if (exchange.has('exception')) await drawFailure(into, exchange.get('exception'), query);
      for (const [key, name] of [['request_headers', 'headers sent'], ['request_body', 'body sent'], ['response_headers', 'headers received'], ['response_body', 'body received']]) {
        if (exchange.has(key)) into.append(await folded(name, key.endsWith('headers') ? drawHeaders : drawValue, exchange.get(key), query));
      }
    }),
  );
}

/** A part that is drawn when it is opened. */
async function folded(name, draw, value, query) {
  const made = make('details', 'part', make('summary', '', name));
  made.addEventListener('toggle', () => draw(made, value, query), { once: true });
  return made;
}

async function drawHeaders(into, value, query) {
  const made = make('dl', 'headers');
  for (const pair of await listed(value)) {
    const [name, text] = await listed(pair);
    const told = make('dd');
    putMarked(told, plain(await textOf(text)), query);
    made.append(make('dt', '', plain(await textOf(name))), told);
  }
  into.append(made);
}

async function usage(used) {
  if (!used.has('input_tokens') && !used.has('output_tokens')) return '';
  const count = (key) => Number(used.get(key) ?? 0);
  const inside = [['cache_read', 'cached'], ['cache_write', 'written to the cache']]
    .filter(([key]) => count(key))
    .map(([key, what]) => `${grouped(count(key))} ${what}`);
  const reasoning = count('reasoning') ? ` (${grouped(count('reasoning'))} reasoning)` : '';
  return `${grouped(count('input_tokens'))} in${inside.length ? ` (${inside.join(', ')})` : ''}, ${grouped(count('output_tokens'))} out${reasoning}`;
}
