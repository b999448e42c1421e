// What every benchmark prints: the machine, a table, and the verdict on its last line.

import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {cpus, loadavg, release} from 'node:os';
import {parseArgs} from 'node:util';

// The flags that all benchmarks share, and `more` of one.
export function readFlags(more = {}) {
  try {
    return parseArgs({
             options: {quick: {type: 'boolean', default: false}, json: {type: 'string'}, ...more},
           })
        .values;
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// "1.52 to 1.61": the spread of the runs behind a median.
export function spread(values, digits) {
  return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`;
}

// A number with as many digits as tell something.
export function figure(value, digits = 2) {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

// Prints rows (arrays of text; the first is the head) in aligned columns, all but the first to the
// right.
export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [index, row] of rows.entries()) {
    const cells = row.map(
        (cell, column) =>
            column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
    console.log(cells.join('  ').trimEnd());
    if (index === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  }
}

// Jiffies of all cores since boot: {all, stolen}.
function processorTimes() {
  const fields =
      readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
  return {all: fields.slice(0, 8).reduce((sum, field) => sum + field, 0), stolen: fields[7]};
}
const at_start = processorTimes();

function gitCommit() {
  try {
    return execFileSync(
               'git', ['describe', '--always', '--dirty'], {encoding: 'utf8', stdio: 'pipe'})
        .trim();
  } catch {
    return 'unknown';
  }
}

// What the figures depend on.
export function environment() {
  return {
    processor: cpus()[0].model,
    cores: cpus().length,
    kernel: release(),
    congestion_control: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    commit: gitCommit(),
    date: new Date().toISOString(),
    load_at_start: loadavg()[0],
  };
}

export function printEnvironment(facts) {
  console.log(
      `${facts.processor}, ${facts.cores} cores, Linux ${facts.kernel}, ` +
      `TCP ${facts.congestion_control}, commit ${facts.commit}, ${facts.date}`);
  if (facts.load_at_start > 1) {
    console.log(`Other work runs on this machine (load ${
        facts.load_at_start.toFixed(1)}): expect a wide spread.`);
  }
  console.log('');
}

// Ends the benchmark: raw numbers into `json`, notes, the verdict, the exit code. Each goal
// is {name, value, digits, least} or {…, most}; every one must hold.
export function conclude({name, goals, unit = '', json, raw}) {
  const {all, stolen} = processorTimes();
  const share = (100 * (stolen - at_start.stolen)) / Math.max(1, all - at_start.all);
  if (share > 1)
    console.log(`The hypervisor took ${share.toFixed(1)} % of the processor time meanwhile.`);
  const holds = ({value, least, most}) => Number.isFinite(value) &&
      (least === undefined || value >= least) && (most === undefined || value <= most);
  for (const goal of goals.filter((each) => !holds(each))) {
    const bound = goal.least !== undefined ? `at least ${goal.least}` : `at most ${goal.most}`;
    console.log(
        `Missed: ${goal.name} is ${figure(goal.value, goal.digits)}, the goal is ${bound}.`);
  }
  if (json)
    writeFileSync(
        json, JSON.stringify({name, goals, stolen_percent: share, ...raw}, null, 1) + '\n');
  const figures = goals.map(({value, digits}) => figure(value, digits)).join(', ');
  const bounds =
      goals.map(({least, most}) => (least !== undefined ? `≥ ${least}` : `≤ ${most}`)).join(', ');
  console.log(`${name}: ${figures}${unit} (goal ${bounds})`);
  process.exitCode = goals.every(holds) ? 0 : 1;
}
