// A line chart of series over time: axes, legend, a tooltip at the pointer or at the arrow keys, zoom by dragging.

import { el, svg, labelsText, timeText } from './dom.js';

const WIDTH = 1000;
const HEIGHT = 380;
const MARGIN = { left: 64, right: 12, top: 10, bottom: 26 };
const COLOURS = 12; // classes c0, c1, … of the style sheet
const MOST = 200; // series that are drawn

// Round numbers between two, about so many.
export function ticks(low, high, about) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / about));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= about) ?? 10 * power;
  const first = Math.ceil(low / step);
  const count = Math.min(4 * about, Math.floor(high / step) - first + 1);
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000];

export function timeTicks(start, end, about) {
  const step = (TIME_STEPS.find((s) => (end - start) / 1000 / s <= about) ?? Math.ceil((end - start) / 1000 / about)) * 1000;
  const first = Math.ceil(start / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((end - first) / step) + 1) }, (_, i) => first + i * step);
}

function tickText(t, span) {
  const text = timeText(t);
  return span > 3 * 86400000 ? text.slice(5, 10) : span > 86400000 ? text.slice(5, 16) : span > 600000 ? text.slice(11, 16) : text.slice(11, 19);
}

export function numberText(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';
  for (const [limit, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (size >= limit && size < 1e15) return `${Number((value / limit).toPrecision(4))}${unit}`;
  }
  return String(Number(value.toPrecision(4)));
}

// `series`: [{metric, values: [[seconds, text], …]}]; times in milliseconds. `zoom` is told start and end.
export function chart(series, { start, end, step, zoom }) {
  const lines = series.filter(({ values }) => values?.length).slice(0, MOST).map(({ metric, values }, i) => ({
    name: labelsText(metric),
    colour: `c${i % COLOURS}`,
    shown: true,
    points: values.map(([t, v]) => [t * 1000, Number(v === '+Inf' ? Infinity : v === '-Inf' ? -Infinity : v)]),
  }));
  const span = Math.max(1, end - start);
  const x = (t) => MARGIN.left + ((t - start) / span) * (WIDTH - MARGIN.left - MARGIN.right);
  const time = (px) => start + ((px - MARGIN.left) / (WIDTH - MARGIN.left - MARGIN.right)) * span;
  let y;

  const plot = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img', tabindex: 0,
    'aria-label': `Graph of ${lines.length} series; left and right arrows move through time`,
  });
  const tooltip = el('div', { class: 'tooltip', hidden: true });
  const frame = el('div', { class: 'frame' }, plot, tooltip);
  const cursor = svg('g', { class: 'cursor' });
  const selection = svg('rect', { class: 'selection', y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom, width: 0 });

  function draw() {
    let [low, high] = [Infinity, -Infinity];
    for (const { points, shown } of lines) {
      if (!shown) continue;
      for (const [, v] of points) {
        if (!Number.isFinite(v)) continue;
        low = Math.min(low, v);
        high = Math.max(high, v);
      }
    }
    if (low > high) [low, high] = [0, 1];
    if (low > 0 && low < high / 2) low = 0;
    const pad = high > low ? (high - low) * 0.04 : Math.max(Math.abs(high) * 0.1, Number.MIN_VALUE * 1e10, high === 0 ? 1 : 0);
    if (low !== 0 || high === 0) low -= pad;
    high += pad;
    y = (v) => HEIGHT - MARGIN.bottom - ((v - low) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const across = ticks(low, high, 6).map((v) => svg('g', {},
      svg('line', { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(v), y2: y(v) }),
      svg('text', { x: MARGIN.left - 8, y: y(v) + 4, 'text-anchor': 'end' }, numberText(v))));
    const along = timeTicks(start, end, 8).map((t) => svg('g', {},
      svg('line', { x1: x(t), x2: x(t), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      svg('text', { x: x(t), y: HEIGHT - 8, 'text-anchor': 'middle' }, tickText(t, span))));
    const paths = lines.filter(({ shown }) => shown).map(({ points, colour }) =>
      svg('path', { class: `line ${colour}`, d: path(points, x, y, step) }));
    plot.replaceChildren(svg('g', { class: 'grid' }, ...across, ...along), svg('g', { class: 'lines' }, ...paths), selection, cursor);
  }

  // Times at which some series has a value, for the arrow keys and the pointer.
  const all = [...new Set(lines.flatMap(({ points }) => points.map(([t]) => t)))].sort((a, b) => a - b);
  let at = -1;

  function point(i, near) {
    at = Math.max(0, Math.min(all.length - 1, i));
    const t = all[at];
    const found = lines.filter(({ shown }) => shown).map((line) => [line, valueAt(line.points, t)]).filter(([, v]) => v !== undefined);
    if (t === undefined || !found.length) return leave();
    const distance = ([, v]) => (near === undefined ? -v : Math.abs(y(v) - near));
    found.sort((a, b) => distance(a) - distance(b));
    cursor.replaceChildren(svg('line', { x1: x(t), x2: x(t), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      ...found.slice(0, 1).filter(([, v]) => Number.isFinite(v)).map(([{ colour }, v]) => svg('circle', { class: colour, cx: x(t), cy: y(v), r: 4 })));
    const rows = found.slice(0, 8).map(([{ name, colour }, v]) => el('div', {}, el('i', { class: colour }), el('b', {}, String(v)), ` ${name}`));
    const more = found.length > 8 && el('div', {}, `and ${found.length - 8} more`);
    tooltip.replaceChildren(el('div', {}, timeText(t)), ...rows, ...(more ? [more] : []));
    tooltip.hidden = false;
    const share = x(t) / WIDTH;
    tooltip.style.left = share < 0.5 ? `${share * 100 + 1}%` : 'auto';
    tooltip.style.right = share < 0.5 ? 'auto' : `${(1 - share) * 100 + 1}%`;
    return undefined;
  }

  function leave() {
    tooltip.hidden = true;
    cursor.replaceChildren();
  }

  const position = (event) => {
    const box = plot.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  };
  let from = null; // where dragging began
  plot.addEventListener('pointermove', (event) => {
    const [px, py] = position(event);
    if (from !== null) {
      selection.setAttribute('x', Math.min(from, px));
      selection.setAttribute('width', Math.abs(px - from));
    }
    const t = time(px);
    const after = all.findIndex((other) => other >= t);
    const i = after < 0 ? all.length - 1 : after > 0 && t - all[after - 1] < all[after] - t ? after - 1 : after;
    point(i, py);
  });
  plot.addEventListener('pointerdown', (event) => {
    [from] = position(event);
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener('pointerup', (event) => {
    const [px] = position(event);
    if (from !== null && Math.abs(px - from) > 8) zoom(...[time(from), time(px)].sort((a, b) => a - b));
    from = null;
    selection.setAttribute('width', 0);
  });
  plot.addEventListener('pointerleave', leave);
  plot.addEventListener('blur', leave);
  plot.addEventListener('keydown', (event) => {
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === 'Escape') leave();
    if (next === undefined) return;
    event.preventDefault();
    point(next);
  });

  draw();
  const entries = lines.map((line) => {
    const entry = el('button', { type: 'button', 'aria-pressed': true, title: 'Click: hide or show. Ctrl+click: only this one' },
      el('i', { class: line.colour }), line.name);
    entry.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey) for (const other of lines) other.shown = other === line;
      else line.shown = !line.shown;
      for (const [i, { shown }] of lines.entries()) entries[i].setAttribute('aria-pressed', shown);
      leave();
      draw();
    });
    return entry;
  });
  const legend = el('ul', { class: 'legend', 'aria-label': 'Series' }, ...entries.map((entry) => el('li', {}, entry)));
  const omitted = series.length - lines.length;
  const histograms = series.filter(({ values }) => !values?.length).length;
  const note = [
    omitted > histograms && `The first ${MOST} of ${series.length} series are drawn.`,
    histograms > 0 && `${histograms} series of native histograms are not drawn; the table shows them.`,
  ].filter(Boolean).join(' ');
  return el('div', { class: 'chart' }, frame, note && el('p', { class: 'note' }, note), legend);
}

// Lines break where steps have no value, and where values are not finite.
function path(points, x, y, step) {
  let d = '';
  let last = NaN; // time of the point before, if the line goes on
  let alone = false;
  for (const [t, v] of points) {
    if (!Number.isFinite(v)) {
      if (alone) d += 'h0.01';
      [last, alone] = [NaN, false];
      continue;
    }
    const goesOn = t - last <= step * 1.5;
    if (alone && !goesOn) d += 'h0.01';
    d += `${goesOn ? 'L' : 'M'}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
    alone = !goesOn;
    last = t;
  }
  return alone ? `${d}h0.01` : d;
}

function valueAt(points, t) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < t) low = middle + 1;
    else high = middle;
  }
  return points[low]?.[0] === t ? points[low][1] : undefined;
}
