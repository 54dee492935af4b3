// The bucket's blocks on a timeline.

import { call } from './api.js';
import { timeTicks } from './chart.js';
import { bytesText, el, labelsText, svg, timeText } from './dom.js';

const WIDTH = 1000;
const ROW = 18;
const MOST_LANES = 40;
const MOST = 2000; // blocks that are shown

const MEANING = {
  queried: 'converted and queried',
  filtered: 'not queried here: left to the Thanos store of --block.filter',
  failed: 'cannot be read: queries of its times fail or lack it',
  unmarked: 'not queried: nothing says that its conversion is complete',
  unconverted: 'not queried: a TSDB block without shards',
  deleted: 'not queried: marked for deletion',
  unknown: 'of unknown state',
  missing: 'no block that is queried has these times',
};

export async function showBlocks(page) {
  page.replaceChildren(el('p', { role: 'status' }, 'Looking …'));
  let data;
  try {
    ({ data } = await call('status/blocks'));
  } catch (error) {
    page.replaceChildren(el('div', { class: 'message error', role: 'alert' }, el('p', {}, el('b', {}, 'error'), ` ${error.message}`)));
    return;
  }
  const counts = Object.keys(MEANING).map((state) => [state, state === 'missing' ? data.gaps.length : data.blocks.filter((block) => block.state === state).length]);
  const shown = counts.filter(([state, n]) => n || state === 'queried');
  const legend = el('ul', { class: 'states' }, ...shown.map(([state, n]) =>
    el('li', {}, el('i', { class: `state ${state}` }), el('b', {}, String(n)), ` ${state}: ${MEANING[state]}`)));
  const total = (name) => data.blocks.reduce((sum, block) => sum + block[name], 0);
  const summary = data.ready
    ? `${data.blocks.length} blocks, ${total('series')} rows of series, ${bytesText(total('bytes'))}. ${data.openShards} shards are open, their footers take about ${bytesText(data.footerBytes)}.`
    : 'The bucket has not been looked through yet.';
  const again = el('button', { type: 'button', onclick: () => showBlocks(page) }, 'Refresh');
  page.replaceChildren(el('p', {}, summary, ' ', again), legend, timeline(data), blockTable(data.blocks));
}

// One band for each set of external labels; blocks that overlap lie in lanes below each other.
function timeline({ blocks, gaps }) {
  const timed = blocks.filter((block) => block.minTime !== null).sort((a, b) => a.minTime - b.minTime).slice(-MOST);
  if (!timed.length) return el('p', { class: 'note' }, 'No block has known times.');
  const start = Math.min(...timed.map((block) => block.minTime));
  const end = Math.max(...timed.map((block) => block.maxTime), start + 1);
  const x = (t) => 4 + ((Math.max(start, t) - start) / (end - start)) * (WIDTH - 8);
  const bar = ({ minTime, maxTime }, row, state, title) =>
    svg('rect', { class: `state ${state}`, x: x(minTime), width: Math.max(1.5, x(maxTime) - x(minTime) - 1), y: row * ROW + 2, height: ROW - 4, rx: 2 }, svg('title', {}, title));

  const bands = new Map();
  for (const block of timed) {
    const name = labelsText(block.labels);
    if (!bands.has(name)) bands.set(name, { blocks: [], gaps: [] });
    bands.get(name).blocks.push(block);
  }
  for (const gap of gaps) bands.get(labelsText(gap.labels))?.gaps.push(gap);

  const parts = [];
  let row = 0;
  for (const [name, band] of [...bands].slice(0, 50)) {
    if (name !== '{}') parts.push(svg('text', { x: 4, y: row++ * ROW + 13 }, name));
    for (const gap of band.gaps) parts.push(bar(gap, row, 'missing', `missing\n${timeText(gap.minTime)} – ${timeText(gap.maxTime)}`));
    const ends = []; // last time of each lane
    for (const block of band.blocks) {
      let lane = ends.findIndex((last) => last <= block.minTime);
      if (lane < 0) lane = Math.min(ends.length, MOST_LANES - 1);
      ends[lane] = block.maxTime;
      parts.push(bar(block, row + lane, block.state, `${block.name}\n${block.state}\n${timeText(block.minTime)} – ${timeText(block.maxTime)}\n${block.series} series, ${bytesText(block.bytes)}`));
    }
    row += ends.length;
  }
  const height = row * ROW;
  const axis = timeTicks(start, end, 7).map((t) => svg('g', {},
    svg('line', { x1: x(t), x2: x(t), y1: 0, y2: height }),
    svg('text', { x: x(t), y: height + 14, 'text-anchor': x(t) < 60 ? 'start' : x(t) > WIDTH - 60 ? 'end' : 'middle' }, timeText(t).slice(0, 16))));
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${height + 20}`, class: 'timeline', role: 'img', 'aria-label': 'Timeline of the blocks, which the table below lists' },
    svg('g', { class: 'grid' }, ...axis), ...parts);
}

function blockTable(blocks) {
  const attention = ({ state }) => ({ failed: 0, unmarked: 1 }[state] ?? 2);
  const sorted = [...blocks].sort((a, b) => attention(a) - attention(b) || (b.minTime ?? 0) - (a.minTime ?? 0));
  const time = (t) => (t === null ? '' : timeText(t));
  const row = (block) => el('tr', {},
    el('td', {}, el('code', {}, block.name)),
    el('td', {}, el('i', { class: `state ${block.state}` }), block.state, block.error && el('div', { class: 'labels' }, block.error)),
    el('td', {}, time(block.minTime)), el('td', {}, time(block.maxTime)),
    ...['shards', 'series'].map((name) => el('td', { class: 'value' }, String(block[name]))),
    el('td', { class: 'value' }, bytesText(block.bytes)),
    el('td', { class: 'labels' }, labelsText(block.labels)));
  const head = ['block', 'state', 'first sample', 'last sample', 'shards', 'series', 'size', 'external labels'];
  return el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ...head.map((text) => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, ...sorted.slice(0, MOST).map(row))),
    sorted.length > MOST && el('p', { class: 'note' }, `and ${sorted.length - MOST} more`));
}
