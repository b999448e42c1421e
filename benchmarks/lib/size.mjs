// benchmarks/size: `penstock size` on ten million lines of usage.

import {spawn} from 'node:child_process';
import {closeSync, openSync, readFileSync, statSync, writeSync} from 'node:fs';
import {join} from 'node:path';

import {limitTime, temporaryFolder} from './children.mjs';
import {kPenstock} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kBegin = 1_760_000_000;  // Seconds since 1970.
const kSpan = 28 * 86_400;     // Four weeks, however many lines.

// Equal for equal numbers, and spread like lengths are: most of them short.
function lengths(index) {
  const u = ((index * 2_654_435_761) % 4_294_967_296) / 4_294_967_296;
  const input = 100 + Math.floor(8000 * u * u);
  return {input, output: 10 + (index * 7) % 500, cached: index % 3 === 0 ? input >> 1 : 0};
}

const kForms = {
  csv: {
    head: 'time,endpoint,input_tokens,output_tokens,cached_tokens\n',
    line: (at, index) => {
      const {input, output, cached} = lengths(index);
      return `${at},chat-${index & 3},${input},${output},${cached}\n`;
    },
  },
  json: {
    head: '',
    line: (at, index) => {
      const {input, output, cached} = lengths(index);
      return `{"id":"chatcmpl-${index}","object":"chat.completion","created":${at},"model":"chat-${index & 3}",` +
          `"usage":{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${input + output},` +
          `"prompt_tokens_details":{"cached_tokens":${cached}}}}\n`;
    },
  },
};

function write(file, form, lines) {
  const descriptor = openSync(file, 'w');
  let text = form.head;
  for (let index = 0; index < lines; ++index) {
    text += form.line(kBegin + Math.floor(index * kSpan / lines), index);
    if (text.length < 1 << 22) continue;
    writeSync(descriptor, text);
    text = '';
  }
  writeSync(descriptor, text);
  closeSync(descriptor);
}

// Runs it to its end: seconds, processor seconds and most memory, as the kernel counted them.
function take(program, words) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(program, words, {stdio: ['ignore', 'pipe', 'inherit']});
    let last = {cpu_s: 0, peak_mb: 0};
    const look = () => {
      try {
        const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
        const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
        last = {cpu_s: (Number(fields[11]) + Number(fields[12])) / 100, peak_mb: Number(peak[1]) / 1e3};
      } catch {
        // It has ended: the last reading holds.
      }
    };
    const watch = setInterval(look, 10);
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(watch);
      if (code !== 0) return reject(new Error(`${program} ${words.join(' ')} ended with ${code}`));
      resolve({...last, seconds: (performance.now() - began) / 1000, text});
    });
  });
}

async function size(file, lines) {
  const {text, ...run} = await take(kPenstock, ['size', '--usage', file, '--json']);
  const counted = JSON.parse(text).sizings.reduce((sum, {usage}) => sum + usage.requests, 0);
  if (counted !== lines) throw new Error(`${file}: ${counted} of ${lines} lines were counted`);
  return run;
}

const kAwk = 'NR > 1 { m = int($1 / 60) "," $2; i[m] += $3; o[m] += $4; c[m] += $5 } ' +
    'END { for (m in i) { n++; if (i[m] + o[m] > most) most = i[m] + o[m] } print n, most }';

async function main() {
  const flags = readFlags();
  limitTime(flags.quick ? 110 : 600);
  const facts = environment();
  printEnvironment(facts);

  const lines = flags.quick ? 1_000_000 : 10_000_000;
  const tenfold = 10_000_000 / lines;
  const folder = temporaryFolder();
  const runs = {};
  for (const [name, form] of Object.entries(kForms)) {
    const file = join(folder, `usage.${name}`);
    const small = join(folder, `small.${name}`);
    write(file, form, lines);
    write(small, form, lines / 10);
    const all = [];
    for (let i = 0; i < 3; ++i) all.push(await size(file, lines));
    runs[name] = {bytes: statSync(file).size, all, small: await size(small, lines / 10)};
    if (name === 'csv') runs.awk = await take('awk', ['-F,', kAwk, file]);
  }

  const seconds = (name) => runs[name].all.map((run) => run.seconds * tenfold);
  const peak = (name) => Math.max(...runs[name].all.map((run) => run.peak_mb));
  const grown = Math.max(...['csv', 'json'].map((name) => peak(name) - runs[name].small.peak_mb));
  const row = (name) => [
    `${name}, ${figure(runs[name].bytes * tenfold / 1e9, 1)} GB`, figure(median(seconds(name)), 1),
    spread(seconds(name), 1), figure(peak(name), 0), figure(runs[name].small.peak_mb, 0)];
  printTable([
    ['10 million lines', 'seconds', 'spread', 'MB', 'MB of a tenth'],
    row('csv'),
    row('json'),
    ['csv, awk', figure(runs.awk.seconds * tenfold, 1), '', figure(runs.awk.peak_mb, 0), ''],
  ]);
  console.log('');
  conclude({
    name: 'size',
    goals: [
      {name: 's of CSV', value: median(seconds('csv')), digits: 1, most: 10},
      {name: 's of JSON', value: median(seconds('json')), digits: 1, most: 10},
      {name: 'MB more than for a tenth of the lines', value: grown, digits: 1, most: 4},
    ],
    json: flags.json,
    raw: {environment: facts, runs},
  });
}

await main();
