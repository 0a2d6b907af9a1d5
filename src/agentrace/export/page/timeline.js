// The time line: which stretch of it is seen, its scale, and the small picture of the whole above it.

const NARROWEST = 1000; // ns
const DRAG = 4; // pixels that make a movement a drag

function makeTimeline(rows, onChange) {
  const over = byId('over');
  const map = byId('map');
  const frame = byId('window');
  const axis = byId('axis');
  const time = { from: 0, to: rows.total };

  const whole = () => time.from <= 0 && time.to >= rows.total;

  time.show = (from, to) => {
    const length = Math.min(rows.total, Math.max(NARROWEST, to - from));
    time.from = Math.max(0, Math.min(rows.total - length, from));
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
  time.fit = () => time.show(0, rows.total);
  /** Where in the seen stretch a moment is: 0 at its left, 1 at its right. */
  time.share = (ns) => (ns - time.from) / (time.to - time.from);

  function drawFrame() {
    frame.hidden = whole();
    frame.style.left = `${(time.from / rows.total) * 100}%`;
    frame.style.width = `${((time.to - time.from) / rows.total) * 100}%`;
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
      const left = (rows.start[row] / rows.total) * width;
      const long = Math.max(1, (rows.duration[row] / rows.total) * width);
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
    start: (event) => over.getBoundingClientRect().left && momentAt(event, over, 0, rows.total),
    move: (event, began) => {
      const now = momentAt(event, over, 0, rows.total);
      time.show(Math.min(began, now), Math.max(began, now));
    },
    click: (event) => {
      const now = momentAt(event, over, 0, rows.total);
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

/** Calls ``move(event, began)`` while the pointer drags from where ``start(event)`` began, else ``click(event)``. */
function followPointer(element, { start, move, click }) {
  element.addEventListener('pointerdown', (down) => {
    if (down.button !== 0) return;
    const began = start(down);
    let dragged = false;
    const onMove = (event) => {
      if (!dragged && Math.abs(event.clientX - down.clientX) < DRAG) return;
      if (!dragged) element.setPointerCapture(down.pointerId);
      dragged = true;
      move(event, began, down);
    };
    const onUp = (event) => {
      element.removeEventListener('pointermove', onMove);
      element.removeEventListener('pointerup', onUp);
      element.removeEventListener('pointercancel', onUp);
      if (!dragged && click && event.type === 'pointerup') click(event);
    };
    element.addEventListener('pointermove', onMove);
    element.addEventListener('pointerup', onUp);
    element.addEventListener('pointercancel', onUp);
  });
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
