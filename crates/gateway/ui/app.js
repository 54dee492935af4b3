// The page: what is asked for, kept in the address after #, so that it can be shared and gone back to.

import { call } from './api.js';
import { showBlocks } from './blocks.js';
import { chart } from './chart.js';
import { Completion } from './completion.js';
import { byId, durationText, el, parseDuration, parseTime, tabs, timeText } from './dom.js';
import { plan, resultTable, showMessages } from './results.js';

const DEFAULTS = { page: 'query', q: '', mode: 'instant', view: 'table', range: '1h', end: '', step: '' };
const POINTS = 250; // steps of a range without a step
const MAX_POINTS = 11000; // that the API gives

let state = { ...DEFAULTS };
let answer = null; // the last one: {data, explain, query, times}
let running = null;

const readAddress = () => ({ ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

function writeAddress() {
  const changed = Object.entries(state).filter(([name, value]) => name in DEFAULTS && value !== DEFAULTS[name]);
  const hash = `#${new URLSearchParams(changed)}`;
  if (hash !== (location.hash || '#')) history.pushState(null, '', hash);
}

const choosePage = tabs(byId('pages'), (id) => change({ page: id.replace('page-', '') }));
const chooseView = tabs(byId('views'), (id) => {
  const view = id.replace('view-', '');
  const wantsRange = view === 'graph' && state.mode !== 'range';
  change({ view, ...(wantsRange ? { mode: 'range' } : {}) });
  if (wantsRange && state.q) run();
});

// Takes over what is new, and shows it.
function change(news) {
  state = { ...state, ...news };
  writeAddress();
  show();
}

function show() {
  choosePage(`page-${state.page}`);
  byId('query-page').hidden = state.page !== 'query';
  byId('blocks-page').hidden = state.page !== 'blocks';
  if (state.page === 'blocks') showBlocks(byId('blocks-page'));
  for (const name of ['range', 'end', 'step']) byId(name).value = state[name];
  if (byId('query').value !== state.q) byId('query').value = state.q;
  for (const radio of document.querySelectorAll('[name=mode]')) radio.checked = radio.value === state.mode;
  byId('range-controls').hidden = state.mode !== 'range';
  byId('time-label').textContent = state.mode === 'range' ? 'end' : 'at';
  chooseView(`view-${state.view}`);
  byId('result').setAttribute('aria-labelledby', `view-${state.view}`);
  showResult();
}

function showResult() {
  const shown = [];
  if (answer) {
    const { data, explain, query, times } = answer;
    if (state.view === 'plan') shown.push(plan(explain, query));
    else if (state.view === 'table') shown.push(resultTable(data));
    else if (data.resultType !== 'matrix' || times.step === undefined) shown.push(el('p', { class: 'note' }, 'Graphs are of range queries.'));
    else if (!data.result.length) shown.push(el('p', { class: 'note' }, 'No series.'));
    else shown.push(chart(data.result, { ...times, zoom }));
  }
  byId('result').replaceChildren(...shown);
}

function readForm() {
  const field = (name) => byId(name).value.trim();
  state.q = byId('query').value;
  state.mode = document.querySelector('[name=mode]:checked').value;
  if (state.mode === 'instant' && state.view === 'graph') state.view = 'table';
  Object.assign(state, { range: field('range') || DEFAULTS.range, end: field('end'), step: field('step') });
}

// Time of the last sample: blocks may be old.
async function latest() {
  const { data } = await call('status/tsdb');
  return data.headStats.maxTime || Date.now();
}

// Start, end and step in milliseconds; throws what is wrong with them.
async function times() {
  const end = state.end === '' ? await latest() : parseTime(state.end);
  if (Number.isNaN(end)) throw new Error(`"${state.end}" is no time: 2026-11-21 20:00:00 (UTC) or Unix seconds`);
  if (state.mode === 'instant') return { end };
  const range = parseDuration(state.range);
  if (!(range > 0)) throw new Error(`"${state.range}" is no duration: 30s, 1h, 1d12h or seconds`);
  const step = state.step === '' ? Math.max(1000, Math.ceil(range / POINTS / 1000) * 1000) : parseDuration(state.step);
  if (!(step > 0)) throw new Error(`"${state.step}" is no step: 30s, 1h or seconds`);
  if (range / step > MAX_POINTS) throw new Error(`a range of ${state.range} has more than ${MAX_POINTS} steps of ${state.step}`);
  return { start: end - range, end, step };
}

async function run() {
  running?.abort();
  const turn = new AbortController();
  running = turn;
  const query = state.q;
  answer = null;
  showMessages(query, {});
  showResult();
  if (!query.trim()) {
    byId('status').textContent = '';
    return;
  }
  byId('status').textContent = 'Running …';
  const began = performance.now();
  try {
    const asked = await times();
    const seconds = (ms) => String(ms / 1000);
    const common = { query, explain: 1, stats: 'true' };
    const parameters = state.mode === 'range'
      ? { ...common, start: seconds(asked.start), end: seconds(asked.end), step: seconds(asked.step) }
      : { ...common, time: seconds(asked.end) };
    const { data, explain, warnings, infos } = await call(state.mode === 'range' ? 'query_range' : 'query', parameters, { signal: turn.signal, post: true });
    if (turn !== running) return;
    answer = { data, explain, query, times: asked };
    const count = ['vector', 'matrix'].includes(data.resultType) ? `${data.result.length} series` : data.resultType;
    const at = asked.step === undefined ? `at ${timeText(asked.end)}` : `from ${timeText(asked.start)} to ${timeText(asked.end)} every ${durationText(asked.step)}`;
    const samples = data.stats?.samples?.totalQueryableSamples;
    byId('status').textContent = `${count} ${at}, ${Math.round(performance.now() - began)} ms${samples === undefined ? '' : `, ${samples} samples`}`;
    showMessages(query, { warnings, infos });
    showResult();
  } catch (error) {
    if (turn !== running || error.name === 'AbortError') return;
    byId('status').textContent = '';
    showMessages(query, { error: error.message });
  }
}

function submit() {
  readForm();
  change({});
  run();
}

function zoom(start, end) {
  change({ end: timeText(Math.round(end)), range: durationText(Math.max(1000, end - start)), step: '' });
  run();
}

// Moves the end by a part of the range, or makes the range longer.
async function move({ by = 0, scale = 1 }) {
  readForm();
  const end = state.end === '' ? await latest() : parseTime(state.end);
  const range = parseDuration(state.range);
  if (Number.isNaN(end) || !(range > 0)) return submit();
  const news = { range: durationText(Math.max(1000, range * scale)) };
  if (by) news.end = timeText(Math.round(end + by * range));
  change(news);
  return run();
}

function start() {
  const query = byId('query');
  new Completion(query, byId('completions'), () => ({})); // before the keys below, which it may take
  query.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.defaultPrevented) return;
    event.preventDefault();
    submit();
  });
  byId('form').addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  for (const radio of document.querySelectorAll('[name=mode]')) {
    radio.addEventListener('change', () => {
      readForm();
      if (state.mode === 'range') state.view = 'graph';
      change({});
      run();
    });
  }
  byId('earlier').addEventListener('click', () => move({ by: -0.5 }));
  byId('later').addEventListener('click', () => move({ by: 0.5 }));
  byId('shorter').addEventListener('click', () => move({ scale: 0.5 }));
  byId('longer').addEventListener('click', () => move({ scale: 2 }));
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
      event.preventDefault();
      query.focus();
    }
  });
  const restore = () => {
    state = readAddress();
    show();
    run();
  };
  window.addEventListener('popstate', restore);
  restore();
  query.focus();
}

start();
