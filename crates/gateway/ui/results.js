// What queries answer: tables, plans, and what else there is to say.

import { el, byId, labelsText, timeText } from './dom.js';
import { numberText } from './chart.js';

const MOST = 1000; // rows

const table = (head, rows) => el('div', { class: 'scroll' }, el('table', {},
  el('thead', {}, el('tr', {}, ...head.map((text) => el('th', { scope: 'col' }, text)))),
  el('tbody', {}, ...rows)));

export function resultTable({ resultType, result }) {
  if (resultType === 'scalar' || resultType === 'string') {
    return table([resultType, 'time'], [el('tr', {}, el('td', { class: 'value' }, result[1]), el('td', {}, timeText(result[0] * 1000)))]);
  }
  if (!result.length) return el('p', { class: 'note' }, 'No series.');
  const shown = result.slice(0, MOST);
  const rest = result.length > MOST && el('p', { class: 'note' }, `The first ${MOST} of ${result.length} series are shown.`);
  const rows = resultType === 'vector' ? shown.map(vectorRow) : shown.map(matrixRow);
  const head = resultType === 'vector' ? ['series', 'value'] : ['series', 'points', 'first', 'last', 'least', 'greatest'];
  return el('div', {}, table(head, rows), rest);
}

const vectorRow = ({ metric, value, histogram }) => el('tr', {},
  el('td', { class: 'labels' }, labelsText(metric)),
  el('td', { class: 'value' }, value ? value[1] : histogramCell(histogram[1])));

function matrixRow({ metric, values = [], histograms = [] }) {
  const numbers = values.map(([, v]) => Number(v.replace('Inf', 'Infinity'))).filter((v) => !Number.isNaN(v));
  const all = [...values, ...histograms].sort((a, b) => a[0] - b[0]);
  const cell = (pair) => pair && el('td', { class: 'value', title: timeText(pair[0] * 1000) }, typeof pair[1] === 'string' ? pair[1] : histogramCell(pair[1]));
  const extreme = (f) => el('td', { class: 'value' }, numbers.length ? numberText(numbers.reduce((a, b) => f(a, b))) : '');
  return el('tr', {}, el('td', { class: 'labels' }, labelsText(metric)), el('td', { class: 'value' }, String(all.length)),
    cell(all[0]), cell(all.at(-1)), extreme(Math.min), extreme(Math.max));
}

// A bar for each bucket.
function histogramCell({ count, sum, buckets = [] }) {
  const most = Math.max(...buckets.map((bucket) => Number(bucket[3])), 0);
  const bounds = ([kind, low, high]) => `${kind === 1 || kind === 3 ? '[' : '('}${low}, ${high}${kind === 0 || kind === 3 ? ']' : ')'}`;
  const rows = buckets.map((bucket) => el('tr', {}, el('td', {}, bounds(bucket)), el('td', { class: 'value' }, bucket[3]),
    el('td', {}, el('meter', { min: 0, max: most || 1, value: Number(bucket[3]) }))));
  return el('details', {}, el('summary', {}, `count ${count}, sum ${sum}`), el('table', {}, el('tbody', {}, ...rows)));
}

export function plan(explain, query) {
  if (!explain) return el('p', { class: 'note' }, 'The answer has no plan.');
  const bytes = new TextEncoder().encode(query);
  const written = ({ start, end }) => new TextDecoder().decode(bytes.slice(start, end));
  const whole = explain.root.seconds || 1e-9;
  const rows = [];
  const visit = (node, depth) => {
    if (rows.length === MOST) return;
    const text = el('td', { class: 'labels', title: written(node) }, node.text);
    text.style.paddingLeft = `${0.5 + Math.min(depth, 60) * 1.2}em`;
    const ran = node.seconds !== null;
    const number = (value) => el('td', { class: 'value' }, ran ? value : '');
    rows.push(el('tr', {}, text, number(`${(1000 * node.seconds).toFixed(2)} ms`),
      el('td', {}, ran && el('meter', { min: 0, max: whole, value: node.seconds, title: 'share of the time' })),
      number(String(node.series)), number(String(node.samples)), el('td', { class: 'labels' }, el('code', {}, written(node)))));
    for (const child of node.children) visit(child, depth + 1);
  };
  visit(explain.root, 0);
  return el('div', { class: 'plan' },
    el('p', {}, `${explain.steps} step${explain.steps === 1 ? '' : 's'}`),
    el('ol', { start: 0 }, ...explain.selects.map((text) => el('li', {}, el('code', {}, text)))),
    table(['plan', 'time', '', 'series', 'samples', 'of'], rows));
}

// The place that an error names, as line and column of bytes, or null: {before, token, after}.
export function place(message, query) {
  const found = /(?:^|[ (])(\d+):(\d+)(?::|\))/.exec(message);
  if (!found) return null;
  const [line, column] = [Number(found[1]), Number(found[2])];
  const encoded = new TextEncoder();
  const lines = query.split('\n');
  if (line < 1 || line > lines.length) return null;
  const before = encoded.encode(lines.slice(0, line - 1).map((text) => `${text}\n`).join('')).length + column - 1;
  const bytes = encoded.encode(query);
  const decode = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  const rest = decode(before);
  const token = /^(?:[\w:]+|"[^"]*"?|'[^']*'?|\s*\S|\s+)/u.exec(rest)?.[0] ?? '';
  return { before: decode(0, before), token, after: rest.slice(token.length) };
}

// Errors, warnings and infos, with the places that they name marked.
export function showMessages(query, { error, warnings = [], infos = [] }) {
  const one = (kind, text) => {
    const found = place(text, query);
    const marked = found && el('pre', {}, found.before, el('mark', {}, found.token || ' '), found.after);
    return el('div', { class: `message ${kind}`, role: kind === 'error' ? 'alert' : null }, el('p', {}, el('b', {}, kind), ` ${text}`), marked);
  };
  byId('messages').replaceChildren(...(error ? [one('error', error)] : []),
    ...warnings.map((text) => one('warning', text)), ...infos.map((text) => one('info', text)));
}
