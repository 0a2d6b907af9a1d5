// The time line: which stretch of it is seen, its scale, and the small picture of the whole above it.

const NARROWEST = 1000; // ns
const DRAG = 4; // pixels that make a movement a drag

function makeTimeline(rows, onChange) {
  const over = byId('over');
  const map = byId('map');
  const frame = byId('window');
  const axis = byId('axis');
  const time = { from: rows.begin, to: rows.total };
  const all = rows.total - rows.begin;

  const whole = () => time.from <= rows.begin && time.to >= rows.total;
  const shareOfAll = (ns) => (ns - rows.begin) / all;

  time.show = (from, to) => {
    const length = Math.min(all, Math.max(NARROWEST, to - from));
    time.from = Math.max(rows.begin, Math.min(rows.total - length, from));
    time.to = time.from + length;
    drawFrame();
    drawAxis();
    onChange();
  };
  time.zoom = (factor, around = (time.from + time.to) / 2) =>
    time.show(around - (around - time.from) * factor, around + (time.to - around) * factor);
  time.pan = (share) => {
    const step = (time.to - time.from) * share;
    time.show(time.from + step, time.to + step);
  };
  time.fit = () => time.show(rows.begin, rows.total);
  /** Where in the seen stretch a moment is: 0 at its left, 1 at its right. */
  time.share = (ns) => (ns - time.from) / (time.to - time.from);

  function drawFrame() {
    frame.hidden = whole();
    frame.style.left = `${shareOfAll(time.from) * 100}%`;
    frame.style.width = `${((time.to - time.from) / all) * 100}%`;
  }

  function drawAxis() {
    const width = axis.clientWidth;
    const step = tick((time.to - time.from) / Math.max(2, Math.floor(width / 66)));
    const ticks = [];
    for (let at = Math.ceil(time.from / step) * step; at <= time.to; at += step) {
      const made = make('span', 'tick', at === 0 ? '0' : scale(at, step));
      made.style.left = `${time.share(at) * 100}%`;
      if (time.share(at) * width + 56 < width) ticks.push(made);
    }
    axis.replaceChildren(...ticks);
  }

  /** Every row is a line of the map; where there are more rows than lines they lie on one another. */
  function drawMap() {
    const ratio = window.devicePixelRatio || 1;
    const width = (map.width = Math.max(1, Math.round(map.clientWidth * ratio)));
    const height = (map.height = Math.max(1, Math.round(map.clientHeight * ratio)));
    const canvas = map.getContext('2d');
    const style = getComputedStyle(document.documentElement);
    const colours = new Map([...COLOURED, 'other', 'bad'].map((kind) => [kind, style.getPropertyValue(`--${kind}`)]));
    const thick = Math.max(1, Math.min(3 * ratio, height / rows.count));
    canvas.clearRect(0, 0, width, height);
    for (let row = 0; row < rows.count; row += 1) {
      if (rows.type[row] === INFERRED) continue;
      canvas.fillStyle = colours.get(rows.isBad(row) ? 'bad' : rows.colourOf(row));
      const left = shareOfAll(rows.start[row]) * width;
      const long = Math.max(1, (rows.duration[row] / all) * width);
      canvas.fillRect(left, (row / rows.count) * (height - thick), long, thick);
    }
  }

  time.draw = () => {
    drawMap();
    drawFrame();
    drawAxis();
  };

  followPointer(over, {
    // Dragging over the map chooses a stretch.
    start: (event) => momentAt(event, over, rows.begin, rows.total),
    move: (event, began) => {
      const now = momentAt(event, over, rows.begin, rows.total);
      time.show(Math.min(began, now), Math.max(began, now));
    },
    click: (event) => {
      const now = momentAt(event, over, rows.begin, rows.total);
      const half = (time.to - time.from) / 2;
      time.show(now - half, now + half);
    },
  });
  over.addEventListener('dblclick', time.fit);
  over.addEventListener('wheel', (event) => turn(event, over), { passive: false });

  /** The wheel over ``element``, which stands for the seen stretch. */
  function turn(event, element) {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      time.pan((event.deltaX || event.deltaY) / 800);
    } else {
      time.zoom(Math.exp(event.deltaY / 300), momentAt(event, element, time.from, time.to));
    }
  }
  time.turn = turn;

  return time;
}

function momentAt(event, element, from, to) {
  const box = element.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width)));
  return from + share * (to - from);
}

/**
 * Calls ``move(event, began, down)`` while the pointer drags from where ``start(event)`` began, else ``click(event)``.
 * The pointer is followed wherever it goes: it leaves a narrow element with its first movement.
 */
function followPointer(element, { start, move, click }) {
  element.addEventListener('pointerdown', (down) => {
    if (down.button !== 0) return;
    const began = start(down);
    let dragged = false;
    const onMove = (event) => {
      if (event.pointerId !== down.pointerId) return;
      dragged ||= Math.abs(event.clientX - down.clientX) >= DRAG;
      document.body.classList.toggle('dragging', dragged);
      if (dragged) move(event, began, down);
    };
    const onEnd = (event) => {
      if (event.pointerId !== down.pointerId) return;
      for (const [type, listener] of listeners) window.removeEventListener(type, listener);
      document.body.classList.remove('dragging');
      if (dragged) ignoreNextClick();
      else if (click && event.type === 'pointerup') click(event);
    };
    const listeners = [['pointermove', onMove], ['pointerup', onEnd], ['pointercancel', onEnd]];
    for (const [type, listener] of listeners) window.addEventListener(type, listener);
  });
}

/** The click that a browser makes of the end of a drag is none. */
function ignoreNextClick() {
  const ignore = (event) => event.stopPropagation();
  window.addEventListener('click', ignore, { capture: true, once: true });
  setTimeout(() => window.removeEventListener('click', ignore, { capture: true }), 0);
}

/** The round number of nanoseconds next above ``least``. */
function tick(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least);
}

/** A moment, as exact as ``step`` asks for. */
function scale(ns, step) {
  if (step >= 60 * S) return duration(ns);
  const [unit, name] = ns >= S ? [S, 's'] : [MS, 'ms'];
  const digits = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  return `${(ns / unit).toFixed(Math.min(6, digits))} ${name}`;
}
