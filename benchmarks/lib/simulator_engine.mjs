// benchmarks/simulator --engine: the simulated replica against the engine that it stands for.

import {spawn} from 'node:child_process';
import {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {freePort, kPenstock, ready, startPenstockWith} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags} from './report.mjs';

const kModel = 'main.default.synthetic';
const kParallel = 8;
// Input and output tokens: of many lengths, as people's are, so that no quantile stands at a cliff between
// requests that were alone and those that were not.
const kInput = [32, 320];
const kOutput = [8, 56];
const kLoad = 0.5;  // Of what a replica does one after another: sometimes none, sometimes several at a time.

// Its stdout. `doubted`: a load test that doubts its own figures, with code 1, has records all the same.
function penstock(words, {doubted = false} = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(kPenstock, words, {stdio: ['ignore', 'pipe', 'pipe']});
    let text = '';
    let said = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (said = (said + data).slice(-4096)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0 && !(doubted && code === 1)) return reject(new Error(`penstock ${words[0]} ${words[1]} ended with ${code}: ${said}`));
      resolve(text);
    });
  });
}

// The synthetic model's file, made at its first use and kept in the build tree.
async function synthesise(size) {
  const folder = join(dirname(kPenstock), 'test-models');
  const kept = join(folder, `${size}.gguf`);
  if (existsSync(kept)) return kept;
  mkdirSync(folder, {recursive: true});
  const made = join(temporaryFolder(), `${size}.gguf`);
  await penstock(['model', 'synth', '--size', size, '--output', made]);
  copyFileSync(made, kept);
  return kept;
}

// One engine behind a gateway without a contract: what waits is the engine's to order, as it is the
// simulated replica's. The same server calibrates the model, on an engine of its own.
async function serve(file) {
  const port = await freePort();
  const engine = start(kPenstock, [
    'engine', '--model', file, '--listen', `127.0.0.1:${port}`, '--parallel', String(kParallel), '--threads', '1']);
  await ready(engine, port, '/health', {every_ms: 50});
  const server = await startPenstockWith([
    `--static-endpoint=chat=http://127.0.0.1:${port}`, `--engine-parallel=${kParallel}`, '--engine-threads=1',
    '--calibrate=never']);
  const at = ['--server', `http://127.0.0.1:${server.port}`, '--api-key', server.key];
  await penstock(['model', 'register', kModel, '--file', file, ...at]);
  return {
    port: server.port,
    key: server.key,
    // Seconds in which the engine was computing, since it began.
    async busy_s() {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return Number(/^penstock_engine_step_seconds_total\S* (\S+)/m.exec(text)[1]);
    },
    async calibrate(into) {
      writeFileSync(into, await penstock(['model', 'calibrate', kModel, '--length', 'quick', '--json', ...at]));
      return JSON.parse(readFileSync(into, 'utf8')).calibration;
    },
    async stop() {
      await server.stop();
      await engine.stop();
    },
  };
}

// The quantile as `penstock bench` takes it: the value at that rank, interpolated.
function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
}

// Times of the measured requests of a run's records, in ms.
function measured(file) {
  const requests = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
                       .filter(({kind, phase}) => kind === 'request' && phase !== 'fit');
  const failed = requests.filter(({error}) => error);
  const ttft = [];
  const tpot = [];
  for (const each of requests) {
    if (each.error) continue;
    ttft.push((each.first_token_ns - each.scheduled_ns) / 1e6);
    tpot.push((each.last_token_ns - each.first_token_ns) / (each.output_tokens - 1) / 1e6);
  }
  return {requests: requests.length, failed: failed.length, ttft, tpot};
}

const quantilesOf = ({ttft, tpot}) => ({
  ttft_p50: quantile(ttft, 0.5), ttft_p95: quantile(ttft, 0.95),
  tpot_p50: quantile(tpot, 0.5), tpot_p95: quantile(tpot, 0.95),
});

async function runOnce(server, folder, {rate, seconds, seed}) {
  const records = join(folder, `run-${seed}.jsonl`);
  const before_s = await server.busy_s();
  await penstock([
    'bench', `http://127.0.0.1:${server.port}`, '--model', 'chat', '--api', 'completions', '--api-key', server.key,
    '--rate', String(rate), '--duration-s', String(seconds), '--warmup-s', '0',
    '--input-tokens', `uniform:${kInput.join('-')}`, '--output-tokens', `uniform:${kOutput.join('-')}`,
    '--seed', String(seed), '--records', records, '--no-progress'
  ], {doubted: true});
  const live = measured(records);
  return {rate, seed, records, requests: live.requests, failed: live.failed, live: quantilesOf(live),
          busy_s: await server.busy_s() - before_s};
}

// A calibration of a machine that is `pace` times as slow.
function paced(calibration, pace) {
  const slower = (times) => Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, ms * pace]));
  const points = (list) => list.map((point) => ({
    ...point, requests_per_s: point.requests_per_s / pace, ttft_ms: slower(point.ttft_ms),
    tpot_ms: slower(point.tpot_ms), latency_ms: slower(point.latency_ms)}));
  return {...calibration, curve: points(calibration.curve), probes: points(calibration.probes)};
}

// The run's own schedule, played on a replica of these calibrations.
async function simulate(run, folder, calibrations, pace) {
  const names = calibrations.map((calibration, i) => {
    const name = `run-${run.seed}-${i}-${pace}.json`;
    writeFileSync(join(folder, name), JSON.stringify(paced(calibration, pace)));
    return name;
  });
  const scenario = join(folder, `run-${run.seed}-${pace}.yaml`);
  writeFileSync(scenario, `
fleet: {calibration: [${names.join(', ')}], parallel: ${kParallel}, concurrency: ${4 * kParallel}, replicas: [1, 1]}
tenants: [{name: chat, traffic: {trace: ${run.records}}}]
`);
  const {tenants: [{ttft_ms, tpot_ms}], doubts, replica_hours, busy_share} =
      JSON.parse(await penstock(['simulate', scenario, '--json'])).runs[0];
  return {doubts, busy_s: replica_hours * 3600 * busy_share,
          times: {ttft_p50: ttft_ms.p50, ttft_p95: ttft_ms.p95, tpot_p50: tpot_ms.p50, tpot_p95: tpot_ms.p95}};
}

// Loads between calibrations, one after the other.
async function measureAll(file, folder, {rounds, seconds, rate}) {
  const server = await serve(file);
  const calibrations = [];
  const runs = [];
  for (let round = 0; round <= rounds; ++round) {
    calibrations.push(await server.calibrate(join(folder, `calibration-${round}.json`)));
    if (round === rounds) break;
    const [{ttft_ms, tpot_ms, input_tokens}] = calibrations[0].curve;
    const middle = ([least, most]) => (least + most) / 2;
    const alone_ms = ttft_ms.p50 * middle(kInput) / input_tokens + tpot_ms.p50 * middle(kOutput);
    const per_s = rate || Number((kLoad * 1000 / alone_ms).toPrecision(2));
    runs.push(await runOnce(server, folder, {rate: per_s, seconds, seed: round + 1}));
  }
  await server.stop();
  return {calibrations, runs};
}

async function main() {
  const flags = readFlags({engine: {type: 'boolean'}, runs: {type: 'string'}, size: {type: 'string', default: '15m'},
                           rate: {type: 'string', default: '0'}, keep: {type: 'string'}});
  limitTime(900);
  const facts = environment();
  printEnvironment(facts);
  const folder = flags.keep ?? temporaryFolder();
  mkdirSync(folder, {recursive: true});
  const file = await synthesise(flags.size);
  const rounds = Number(flags.runs ?? (flags.quick ? 2 : 5));
  const {calibrations, runs} =
      await measureAll(file, folder, {rounds, seconds: flags.quick ? 8 : 12, rate: Number(flags.rate)});
  for (const run of runs) {
    const given = await simulate(run, folder, calibrations, 1);
    // The machine's pace within the run, beside that of the calibrations: a virtual one's changes by the minute.
    run.pace = run.busy_s / given.busy_s;
    const there = await simulate(run, folder, calibrations, run.pace);
    Object.assign(run, {doubts: given.doubts, simulated: given.times, at_pace: there.times});
  }

  const names = Object.keys(runs[0].live);
  const error = (run, times, name) => (times[name] / run.live[name] - 1) * 100;
  printTable([
    [`${flags.size}, requests/s`, 'time', 'live, ms', 'simulated, ms', 'error, %', 'at the run\'s pace, ms', 'error, %'],
    ...runs.flatMap((run) => names.map((name) => [
      `${run.rate} (${run.requests} requests), pace ${figure(run.pace, 2)}`, name.replace('_', ' '),
      figure(run.live[name], 2), figure(run.simulated[name], 2), figure(error(run, run.simulated, name), 1),
      figure(run.at_pace[name], 2), figure(error(run, run.at_pace, name), 1)])),
  ]);
  console.log(`Pace: the engine's time in steps within the run, to that of the simulated replica.`);
  for (const doubt of new Set(runs.flatMap(({doubts}) => doubts))) console.log(`Doubtful: ${doubt}.`);
  if (runs.some(({failed}) => failed > 0)) console.log('Some requests failed: the runs tell little.');
  console.log('');
  const goals = (which, words) => names.map((name) => ({
    name: `% error of ${name.replace('_', ' ')}${words}`,
    value: Math.abs(median(runs.map((run) => error(run, run[which], name)))), digits: 1, most: 10,
  }));
  conclude({
    name: 'simulator --engine',
    goals: [...goals('simulated', ''), ...goals('at_pace', ' at the run\'s pace')],
    json: flags.json,
    raw: {environment: facts, calibrations, runs},
  });
}

await main();
