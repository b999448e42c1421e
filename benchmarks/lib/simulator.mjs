// benchmarks/simulator: a day of a million requests on 1,000 replicas.

import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {limitTime, temporaryFolder} from './children.mjs';
import {kPenstock} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kScenario = `
fleet: {step: {fixed_ms: 30, prefill_us: 500, decode_us: 2000}, cost_per_s: 1500, output_weight: 4,
        concurrency: 8, replicas: [1000, 1000]}
tenants:
  - {name: a, range: [100000, 300000], traffic: {requests_per_minute: 350, input_tokens: 8000,
     output_tokens: 400, span_s: 86400, burstiness: 3, seed: 1}}
  - {name: b, range: [100000, 300000], traffic: {requests_per_minute: 350, input_tokens: 2048,
     output_tokens: 256, span_s: 86400, seed: 2}}
`;

// Processor seconds and most memory of a child that still runs; nothing once it has gone.
function reading(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return {seconds: (Number(fields[11]) + Number(fields[12])) / 100, peak_mb: Number(peak[1]) / 1e3};
  } catch {
    return undefined;
  }
}

function simulate(file) {
  return new Promise((resolve, reject) => {
    const child = spawn(kPenstock, ['simulate', file, '--json'], {stdio: ['ignore', 'pipe', 'inherit']});
    let last = {seconds: 0, peak_mb: 0};
    const watch = setInterval(() => (last = reading(child.pid) ?? last), 20);
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(watch);
      if (code !== 0) reject(new Error(`penstock simulate ended with ${code}`));
      const requests = JSON.parse(text).runs[0].tenants.reduce((sum, {arrived}) => sum + arrived, 0);
      resolve({...last, requests, digest: createHash('sha256').update(text).digest('hex')});
    });
  });
}

async function main() {
  const flags = readFlags({runs: {type: 'string'}});
  const count = Number(flags.runs ?? (flags.quick ? 3 : 5));
  limitTime(30 + count * 60);
  const facts = environment();
  printEnvironment(facts);

  const file = join(temporaryFolder(), 'day.yaml');
  writeFileSync(file, kScenario);
  const runs = [];
  for (let i = 0; i < count; ++i) runs.push(await simulate(file));

  const seconds = runs.map((run) => run.seconds);
  const peak_mb = Math.max(...runs.map((run) => run.peak_mb));
  const answers = new Set(runs.map((run) => run.digest)).size;
  printTable([
    [`${runs[0].requests} requests, 1,000 replicas`, 'measured', 'spread', 'goal'],
    [`processor seconds (median of ${count})`, figure(median(seconds), 2), spread(seconds, 2), '<= 10'],
    ['most memory, MB', figure(peak_mb, 0), '', '<= 1000'],
    ['different answers', String(answers), '', '1'],
  ]);
  console.log('');
  conclude({
    name: 'simulator',
    goals: [
      {name: 'processor s', value: median(seconds), digits: 2, most: 10},
      {name: 'MB', value: peak_mb, digits: 0, most: 1000},
      {name: 'answers', value: answers, digits: 0, most: 1},
    ],
    json: flags.json,
    raw: {environment: facts, runs},
  });
}

await main();
