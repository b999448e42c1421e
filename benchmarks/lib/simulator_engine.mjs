// benchmarks/simulator --engine: the simulated replica against the engine that it stands for.

import {spawn} from 'node:child_process';
import {copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {freePort, kPenstock, ready, startPenstockWith} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags} from './report.mjs';

const kModel = 'main.default.synthetic';
const kShapes = [[200, 40], [600, 60]];  // Input and output tokens.
const kParallel = 8;

function penstock(words) {
  return new Promise((resolve, reject) => {
    const child = spawn(kPenstock, words, {stdio: ['ignore', 'pipe', 'pipe']});
    let text = '';
    let said = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (said = (said + data).slice(-4096)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`penstock ${words[0]} ${words[1]} ended with ${code}: ${said}`));
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

// What `penstock model calibrate` finds of it.
async function calibrate(file, into) {
  const server = await startPenstockWith([`--engine-parallel=${kParallel}`, '--engine-threads=1']);
  const at = ['--server', `http://127.0.0.1:${server.port}`, '--api-key', server.key];
  await penstock(['model', 'register', kModel, '--file', file, ...at]);
  writeFileSync(into, await penstock(['model', 'calibrate', kModel, '--length', 'quick', '--json', ...at]));
  await server.stop();
  return JSON.parse(readFileSync(into, 'utf8')).calibration;
}

// The engine behind a gateway without a contract: what waits is the engine's to order, as it is the
// simulated replica's.
async function serve(file) {
  const port = await freePort();
  const engine = start(kPenstock, [
    'engine', '--model', file, '--listen', `127.0.0.1:${port}`, '--parallel', String(kParallel), '--threads', '1']);
  await ready(engine, port, '/health', {every_ms: 50});
  const gateway = await startPenstockWith([`--static-endpoint=chat=http://127.0.0.1:${port}`]);
  return {port: gateway.port, key: gateway.key, stop: async () => {
    await gateway.stop();
    await engine.stop();
  }};
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

async function runOnce(server, folder, {rate, seconds, seed, shape: [input, output]}) {
  const records = join(folder, `run-${seed}-${input}.jsonl`);
  await penstock([
    'bench', `http://127.0.0.1:${server.port}`, '--model', 'chat', '--api', 'completions', '--api-key', server.key,
    '--rate', String(rate), '--duration-s', String(seconds), '--warmup-s', '0', '--input-tokens', String(input),
    '--output-tokens', String(output), '--seed', String(seed), '--records', records, '--no-progress'
  ]);
  const live = measured(records);
  return {shape: [input, output], rate, seed, records, requests: live.requests, failed: live.failed,
          live: quantilesOf(live)};
}

// The run's own schedule, played on a replica of this calibration.
async function simulate(run, folder, calibration) {
  const scenario = join(folder, `run-${run.seed}-${calibration}.yaml`);
  writeFileSync(scenario, `
fleet: {calibration: calibration-${calibration}.json, concurrency: ${4 * kParallel}, replicas: [1, 1]}
tenants: [{name: chat, traffic: {trace: ${run.records}}}]
`);
  const {tenants: [{ttft_ms, tpot_ms}], doubts} = JSON.parse(await penstock(['simulate', scenario, '--json'])).runs[0];
  return {doubts, times: {ttft_p50: ttft_ms.p50, ttft_p95: ttft_ms.p95, tpot_p50: tpot_ms.p50, tpot_p95: tpot_ms.p95}};
}

async function main() {
  const flags = readFlags({engine: {type: 'boolean'}, runs: {type: 'string'}, size: {type: 'string', default: '15m'},
                           rate: {type: 'string', default: '0'}, keep: {type: 'string'}});
  limitTime(600);
  const facts = environment();
  printEnvironment(facts);
  const folder = flags.keep ?? temporaryFolder();
  mkdirSync(folder, {recursive: true});
  const file = await synthesise(flags.size);
  const rounds = Number(flags.runs ?? (flags.quick ? 2 : 3));
  const runs = [];
  const calibrations = [];
  const measure = async () => {
    const path = join(folder, `calibration-${calibrations.length}.json`);
    calibrations.push(await calibrate(file, path));
  };
  await measure();
  for (let round = 0; round < rounds; ++round) {
    const shape = kShapes[round % kShapes.length];
    // Six tenths of what it would do one after another: sometimes none, sometimes several at a time.
    const [{ttft_ms, tpot_ms, input_tokens}] = calibrations.at(-1).curve;
    const alone_ms = ttft_ms.p50 * shape[0] / input_tokens + tpot_ms.p50 * shape[1];
    const rate = Number(flags.rate) || Number((600 / alone_ms).toPrecision(2));
    const server = await serve(file);
    const run = await runOnce(server, folder, {rate, seconds: flags.quick ? 10 : 16, seed: round + 1, shape});
    await server.stop();
    await measure();
    // Between the calibrations before and after it, for a virtual machine changes its pace.
    const [before, after] = [await simulate(run, folder, round), await simulate(run, folder, round + 1)];
    run.doubts = [...before.doubts, ...after.doubts];
    run.simulated = Object.fromEntries(
        Object.keys(before.times).map((name) => [name, (before.times[name] + after.times[name]) / 2]));
    runs.push(run);
  }

  const names = Object.keys(runs[0].live);
  const error = (run, name) => (run.simulated[name] / run.live[name] - 1) * 100;
  printTable([
    [`${flags.size}, input + output, requests/s`, 'time', 'live, ms', 'simulated, ms', 'error, %'],
    ...runs.flatMap((run) => names.map((name) => [
      `${run.shape.join(' + ')}, ${run.rate} (${run.requests} requests)`, name.replace('_', ' '),
      figure(run.live[name], 2), figure(run.simulated[name], 2), figure(error(run, name), 1)])),
  ]);
  for (const doubt of new Set(runs.flatMap(({doubts}) => doubts))) console.log(`Doubtful: ${doubt}.`);
  if (runs.some(({failed}) => failed > 0)) console.log('Some requests failed: the runs tell little.');
  console.log('');
  conclude({
    name: 'simulator --engine',
    goals: names.map((name) => ({
      name: `% error of ${name.replace('_', ' ')}, median of ${rounds} rounds`,
      value: Math.abs(median(runs.map((run) => error(run, name)))), digits: 1, most: 10,
    })),
    json: flags.json,
    raw: {environment: facts, calibrations, runs},
  });
}

await main();
