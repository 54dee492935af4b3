// Completion in the query: metrics, functions, labels, values, by what stands before the cursor.

import { call, labelPath } from './api.js';
import { el } from './dom.js';

const KEYWORDS = ['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'and', 'or', 'unless', 'atan2'];
const AGGREGATIONS = ['sum', 'avg', 'count', 'min', 'max', 'group', 'stddev', 'stdvar', 'topk', 'bottomk', 'quantile', 'count_values'];
const MOST = 100; // shown
const ASKED = 20000;

// What is being written at the end of `text`: its kind, from where on, and the selector or label around it.
export function context(text) {
  const open = []; // brackets around the end
  let i = 0;
  let metric = '';
  let word = null; // the last word, and from where on
  let equals = null; // the label before a matching operator
  while (i < text.length) {
    const c = text[i];
    const found = /^[a-zA-Z_:][\w:]*/.exec(text.slice(i));
    if (c === '#') {
      const end = text.indexOf('\n', i);
      if (end < 0) return { kind: 'none' };
      i = end;
    } else if (c === '"' || c === "'" || c === '`') {
      let end = i + 1;
      while (end < text.length && text[end] !== c) end += text[end] === '\\' && c !== '`' ? 2 : 1;
      if (end >= text.length) {
        const known = equals && open.at(-1)?.bracket === '{';
        return known ? { kind: 'value', from: i + 1, quote: c, label: equals, metric: open.at(-1).metric } : { kind: 'none' };
      }
      word = { text: unquoted(text.slice(i, end + 1)), from: i, end: end + 1 };
      equals = null;
      i = end + 1;
      continue;
    } else if (found) {
      word = { text: found[0], from: i, end: i + found[0].length };
      i = word.end;
      continue;
    } else if ('({['.includes(c)) {
      metric = c === '{' && word && word.end === i ? word.text : '';
      const grouping = c === '(' && /\b(by|without|on|ignoring|group_left|group_right)\s*$/i.test(text.slice(0, i));
      open.push({ bracket: c, metric, grouping });
      word = null;
    } else if (')}]'.includes(c)) {
      open.pop();
      word = null;
    } else if (/[=!~]/.test(c) && open.at(-1)?.bracket === '{') {
      if (word) equals = word.text;
    } else if (c === ',') {
      equals = null;
      word = null;
    }
    i += 1;
  }
  const from = word && word.end === text.length && !/["'`]$/.test(text) ? word.from : text.length;
  const around = open.at(-1);
  if (around?.bracket === '[' || /\d$/.test(text.slice(0, from))) return { kind: 'none' };
  if (around?.bracket === '{') return equals ? { kind: 'none' } : { kind: 'label', from, metric: around.metric };
  if (around?.grouping) {
    const metrics = [...text.matchAll(/[a-zA-Z_:][\w:]*(?=\s*[{[)])/g)].map(([name]) => name);
    return { kind: 'label', from, metric: metrics.at(-1) ?? '' };
  }
  return { kind: 'name', from };
}

function unquoted(text) {
  try {
    return JSON.parse(`"${text.slice(1, -1)}"`);
  } catch {
    return text.slice(1, -1);
  }
}

// Texts that fit, best first: the same, beginnings, then beginnings of words, then what is within.
export function matching(items, typed) {
  const wanted = typed.toLowerCase();
  const rank = ({ text }) => {
    const at = text.toLowerCase().indexOf(wanted);
    if (text === typed) return 0;
    return at < 0 ? -1 : at === 0 ? 1 : /[_:./-]/.test(text[at - 1]) ? 2 : 3;
  };
  const ranked = items.map((item) => [rank(item), item]).filter(([r]) => r >= 0);
  ranked.sort((a, b) => a[0] - b[0]);
  return ranked.slice(0, MOST).map(([, item]) => item);
}

export class Completion {
  // `times` gives the start and end to ask for.
  constructor(input, list, times) {
    Object.assign(this, { input, list, times, items: [], at: 0, asked: new Map(), turn: 0 });
    input.addEventListener('input', () => this.update());
    input.addEventListener('blur', () => this.close());
    input.addEventListener('keydown', (event) => this.key(event));
  }

  get isOpen() {
    return !this.list.hidden;
  }

  key(event) {
    if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      this.update(true);
    }
    if (event.key === 'Escape') this.turn += 1; // what is asked for comes too late
    if (!this.isOpen) return undefined;
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (by) this.mark(Math.max(0, Math.min(this.items.length - 1, this.at + by)));
    else if (event.key === 'Enter' && this.items[this.at].text === this.typed) return this.close(); // there is nothing to complete
    else if (event.key === 'Tab' || (event.key === 'Enter' && !event.shiftKey)) this.take(this.at);
    else if (event.key === 'Escape') this.close();
    else return undefined;
    event.preventDefault();
    event.stopImmediatePropagation();
    return undefined;
  }

  async update(asked = false) {
    const { input } = this;
    const before = input.value.slice(0, input.selectionStart);
    const found = context(before);
    this.turn += 1;
    const turn = this.turn;
    const typed = found.kind === 'none' ? '' : before.slice(found.from);
    if (found.kind === 'none' || (typed === '' && found.kind === 'name' && !asked)) return this.close();
    if (found.from !== this.from || found.kind !== this.kind) this.close(); // what it shows is of another place
    let items;
    try {
      items = await this.candidates(found);
    } catch {
      items = []; // The query itself will tell.
    }
    if (turn !== this.turn || document.activeElement !== input) return undefined;
    this.from = found.from;
    this.kind = found.kind;
    this.typed = typed;
    this.quote = found.quote;
    this.items = matching(items, typed);
    const done = this.items.length === 0 || (this.items.length === 1 && this.items[0].text === typed);
    return done ? this.close() : this.show();
  }

  async candidates({ kind, label, metric }) {
    const match = metric ? `{__name__=${JSON.stringify(metric)}}` : undefined;
    if (kind === 'value') return this.texts(`label/${labelPath(label)}/values`, match, 'value');
    if (kind === 'label') return this.texts('labels', match, 'label');
    const metrics = await this.texts('label/__name__/values', undefined, 'metric');
    this.functions ??= fetch('ui/functions.json').then((response) => response.json());
    const functions = (await this.functions).map(({ name, args, returns, experimental }) => ({
      text: name,
      note: `(${args.join(', ')}) → ${returns}${experimental ? ', experimental' : ''}`,
      call: true,
    }));
    const aggregations = AGGREGATIONS.map((text) => ({ text, note: 'aggregation', call: true }));
    return [...aggregations, ...functions, ...KEYWORDS.map((text) => ({ text, note: 'keyword' })), ...metrics];
  }

  async texts(path, match, note) {
    const { start, end } = this.times();
    const key = JSON.stringify([path, match, start, end]);
    if (!this.asked.has(key)) {
      if (this.asked.size > 50) this.asked.clear();
      const answer = call(path, { 'match[]': match, start, end, limit: ASKED });
      this.asked.set(key, answer);
      answer.catch(() => this.asked.delete(key));
    }
    const { data } = await this.asked.get(key);
    const shown = path === 'labels' ? data.filter((name) => name !== '__name__') : data;
    return shown.map((text) => ({ text, note }));
  }

  show() {
    const option = (item, i) =>
      el('li', { role: 'option', id: `completion-${i}`, onmousedown: (event) => { event.preventDefault(); this.take(i); } },
        el('span', {}, item.text), el('small', {}, item.note));
    this.list.replaceChildren(...this.items.map(option));
    this.list.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
    this.mark(0);
  }

  mark(i) {
    this.at = i;
    for (const [j, option] of [...this.list.children].entries()) option.setAttribute('aria-selected', i === j);
    this.list.children[i].scrollIntoView({ block: 'nearest' });
    this.input.setAttribute('aria-activedescendant', `completion-${i}`);
  }

  take(i) {
    const { input, from, quote } = this;
    const item = this.items[i];
    const escaped = quote ? JSON.stringify(item.text).slice(1, -1) : item.text;
    let text = quote === "'" ? escaped.replaceAll('\\"', '"').replaceAll("'", "\\'") : quote === '`' ? item.text : escaped;
    const plain = item.note === 'metric' ? /^[a-zA-Z_:][\w:]*$/ : /^[a-zA-Z_]\w*$/;
    if (item.note === 'metric' && !plain.test(text)) text = `{${JSON.stringify(text)}}`;
    if (item.note === 'label' && !plain.test(text)) text = JSON.stringify(text);
    if (item.call) text += '(';
    const end = input.selectionStart;
    input.focus();
    input.setSelectionRange(from, end);
    // Keeps undo working.
    if (!document.execCommand('insertText', false, text)) input.setRangeText(text, from, end, 'end');
    this.turn += 1;
    this.close();
  }

  close() {
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
  }
}
