// Elements. Data become text and attributes only, never markup.

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

export const svg = (name, attributes, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

export const byId = (id) => document.getElementById(id);

// A list of tabs: arrows move, one is chosen. `chosen` is told its id.
export function tabs(list, chosen) {
  const all = [...list.querySelectorAll('[role=tab]')];
  const choose = (tab) => {
    for (const other of all) {
      other.setAttribute('aria-selected', other === tab);
      other.tabIndex = other === tab ? 0 : -1;
    }
  };
  for (const [i, tab] of all.entries()) {
    tab.addEventListener('click', () => chosen(tab.id));
    tab.addEventListener('keydown', (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = all[(i + by + all.length) % all.length];
      next.focus();
      chosen(next.id);
      event.preventDefault();
    });
  }
  return (id) => choose(byId(id));
}

const MAX_MS = 8.64e15;

// "2026-11-21 20:00:00", in UTC.
export function timeText(ms) {
  if (!(Math.abs(ms) <= MAX_MS)) return `${ms} ms`;
  return new Date(ms).toISOString().replace('T', ' ').replace(/(\.000)?Z$/, '');
}

// Milliseconds of a time in UTC or of Unix seconds; NaN if it is none.
export function parseTime(text) {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text.trim().replace(' ', 'T')}${text.includes(':') ? 'Z' : ''}`);
}

const UNITS = [['w', 604800000], ['d', 86400000], ['h', 3600000], ['m', 60000], ['s', 1000], ['ms', 1]];

// Milliseconds of "1h30m" or of a number of seconds; NaN if it is none.
export function parseDuration(text) {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return NaN;
  const units = { ...Object.fromEntries(UNITS), y: 31536000000 };
  return [...text.matchAll(/(\d+)(ms|[smhdwy])/g)].reduce((sum, [, n, unit]) => sum + n * units[unit], 0);
}

export function durationText(ms) {
  let text = '';
  let left = Math.max(1, Math.round(ms));
  for (const [unit, size] of UNITS) {
    const n = Math.floor(left / size);
    if (n > 0) text += `${n}${unit}`;
    left -= n * size;
  }
  return text;
}

export function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const i = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 2 ** (10 * i)).toFixed(i ? 1 : 0)} ${units[i]}`;
}

const quoted = (text) => JSON.stringify(text);

// Labels as PromQL writes them.
export function labelsText(labels) {
  const plain = (name, pattern) => (pattern.test(name) ? name : quoted(name));
  const { __name__: metric, ...rest } = labels;
  const pairs = Object.entries(rest).map(([name, value]) => `${plain(name, /^[a-zA-Z_]\w*$/)}=${quoted(value)}`);
  if (metric === undefined) return `{${pairs.join(', ')}}`;
  if (!/^[a-zA-Z_:][\w:]*$/.test(metric)) return `{${[quoted(metric), ...pairs].join(', ')}}`;
  return pairs.length ? `${metric}{${pairs.join(', ')}}` : metric;
}
