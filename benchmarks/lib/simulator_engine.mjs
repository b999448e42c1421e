// benchmarks/simulator --engine: the simulated replica against the engine that it stands for.

import {spawn} from 'node:child_process';
import {copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {setPriority} from 'node:os';
import {dirname, join} from 'node:path';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {freePort, kPenstock, ready, startPenstockWith} from './programs.mjs';
import {conclude, environment, figure, printEnvironment, printTable, readFlags} from './report.mjs';

const kModel = 'main.default.synthetic';
const kParallel = 8;
// Input and output tokens: of many lengths, as people's are, so that no quantile stands at a cliff between
// requests that were alone and those that were not.
const kInput = [32, 320];
const kOutput = [8, 56];
// Two loads, declared before the run. Requests that come when they come, at half of what a replica does one
// after another: sometimes none is there, sometimes several. And users who send the next when the last has
// ended: as many at a time as half of the engine's slots, always.
const kLoad = 0.5;
const kUsers = kParallel / 2;

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

// Processor time of the thread that had most, s.
function busiestThread(pid) {
  const kTicksPerSecond = 100;
  const times = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / kTicksPerSecond;
  });
  return Math.max(...times);
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
    // Seconds in which the engine was computing since it began, and processor time of the thread that does.
    async busy_s() {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return {steps_s: Number(/^penstock_engine_step_seconds_total\S* (\S+)/m.exec(text)[1]),
              thread_s: busiestThread(engine.pid)};
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

// The measured requests of a run's records, as they came: at what second, tokens, times in ms.
function measured(file) {
  return readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line))
      .filter(({kind, phase, error}) => kind === 'request' && phase !== 'fit' && !error)
      .sort((a, b) => a.scheduled_ns - b.scheduled_ns)
      .map((each) => ({
        at_s: each.scheduled_ns / 1e9, input: each.input_tokens, output: each.output_tokens,
        ttft_ms: (each.first_token_ns - each.scheduled_ns) / 1e6,
        tpot_ms: (each.last_token_ns - each.first_token_ns) / (each.output_tokens - 1) / 1e6,
      }));
}

function quantilesOf(requests) {
  const ttft = requests.map(({ttft_ms}) => ttft_ms);
  const tpot = requests.map(({tpot_ms}) => tpot_ms);
  return {ttft_p50: quantile(ttft, 0.5), ttft_p95: quantile(ttft, 0.95),
          tpot_p50: quantile(tpot, 0.5), tpot_p95: quantile(tpot, 0.95)};
}

// One load to the live engine; leaves its records there.
async function load(server, words, seed, records) {
  const before = await server.busy_s();
  await penstock([
    'bench', `http://127.0.0.1:${server.port}`, '--model', 'chat', '--api', 'completions', '--api-key', server.key,
    '--input-tokens', `uniform:${kInput.join('-')}`, '--output-tokens', `uniform:${kOutput.join('-')}`,
    '--seed', String(seed), '--records', records, '--no-progress', ...words,
  ], {doubted: true});
  const after = await server.busy_s();
  const steps_s = after.steps_s - before.steps_s;
  return {steps_s, share: (after.thread_s - before.thread_s) / steps_s};
}

// Requests per second of half of what a replica does one after another.
function rateOf({curve: [{ttft_ms, tpot_ms, input_tokens}]}) {
  const middle = ([least, most]) => (least + most) / 2;
  const alone_ms = ttft_ms.p50 * middle(kInput) / input_tokens + tpot_ms.p50 * middle(kOutput);
  return Number((kLoad * 1000 / alone_ms).toPrecision(2));
}

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

const roundsOf = (folder) => readdirSync(folder).filter((name) => /^round-\d+\.json$/.test(name))
    .map((name) => readJson(join(folder, name))).sort((a, b) => a.round - b.round);

// Rounds of both loads between calibrations; after those that the folder holds already.
async function measureAll(file, folder, {rounds, seconds, rate, requests}) {
  const there = roundsOf(folder);
  const kept = there.at(-1)?.round ?? 0;
  const server = await serve(file);
  const calibrate = (name) => server.calibrate(join(folder, `calibration-${name}.json`));
  for (let round = kept + 1; round <= kept + rounds; ++round) {
    const calibration = await calibrate(`${round}-before`);
    const per_s = there[0]?.rate ?? (rate || rateOf(calibration));  // The same in all rounds.
    const open = await load(server, ['--rate', String(per_s), '--duration-s', String(seconds), '--warmup-s', '0'],
                            2 * round, join(folder, `open-${round}.jsonl`));
    const closed = await load(server, ['--concurrency', String(kUsers), '--requests', String(requests), '--warmup', '0'],
                              2 * round + 1, join(folder, `closed-${round}.jsonl`));
    if (round === kept + rounds) await calibrate(`${round}-after`);
    there.push({round, rate: per_s, open, closed});
    writeFileSync(join(folder, `round-${round}.json`), JSON.stringify(there.at(-1)));
  }
  await server.stop();
}

// All that the folder holds.
function collect(folder) {
  const rounds = roundsOf(folder);
  const calibrations = readdirSync(folder).filter((name) => /^calibration-.*\.json$/.test(name)).sort();
  for (const round of rounds) {
    for (const kind of ['open', 'closed']) round[kind].requests = measured(join(folder, `${kind}-${round.round}.jsonl`));
    // All users' first requests come at once: not the load that was declared, and only once in the whole that is
    // simulated.
    round.closed.requests.splice(0, kUsers);
  }
  return {rounds, calibrations};
}

// The same requests, one round after another, on a replica of all the calibrations.
async function simulate(folder, name, traffic, rounds, calibrations) {
  const lines = ['at,input,output'];
  let begin_s = 0;
  for (const requests of rounds) {
    for (const {at_s, input, output} of requests) lines.push([begin_s + at_s, input, output].join(','));
    begin_s += requests.at(-1).at_s + 10;
  }
  writeFileSync(join(folder, `${name}.csv`), `${lines.join('\n')}\n`);
  const scenario = join(folder, `${name}.yaml`);
  writeFileSync(scenario, `
fleet: {calibration: [${calibrations.join(', ')}], parallel: ${kParallel}, concurrency: ${4 * kParallel}, replicas: [1, 1]}
tenants: [{name: chat, traffic: {trace: ${name}.csv, columns: "time=at,input=input,output=output,unit=s"${traffic}}}]
`);
  const {tenants: [{ttft_ms, tpot_ms}], doubts, replica_hours, busy_share} =
      JSON.parse(await penstock(['simulate', scenario, '--json'])).runs[0];
  return {doubts, busy_s: replica_hours * 3600 * busy_share,
          times: {ttft_p50: ttft_ms.p50, ttft_p95: ttft_ms.p95, tpot_p50: tpot_ms.p50, tpot_p95: tpot_ms.p95}};
}

// One kind of load: live beside simulated, of all rounds together and of each.
async function compare(folder, kind, traffic, {rounds, calibrations}) {
  const parts = rounds.map((round) => round[kind].requests);
  const whole = await simulate(folder, kind, traffic, parts, calibrations);
  const each = [];
  for (const [i, requests] of parts.entries()) {
    each.push({live: quantilesOf(requests),
               ...await simulate(folder, `${kind}-${i + 1}`, traffic, [requests], calibrations)});
  }
  const steps_s = rounds.reduce((sum, round) => sum + round[kind].steps_s, 0);
  return {kind, requests: parts.flat().length, live: quantilesOf(parts.flat()), simulated: whole.times,
          doubts: whole.doubts, pace: steps_s / whole.busy_s,
          share: Math.min(...rounds.map((round) => round[kind].share)), each};
}

const errorOf = (of, name, times = of.simulated) => (times[name] / of.live[name] - 1) * 100;

function print(compared, rate) {
  const words = {open: `open loop, ${rate}/s`, closed: `${kUsers} users`};
  const rows = compared.flatMap((of) => Object.keys(of.live).map((name) => [
    `${words[of.kind]} (${of.requests} requests)`, name.replace('_', ' '), figure(of.live[name], 2),
    figure(of.simulated[name], 2), figure(errorOf(of, name), 1),
    of.each.map((round) => figure(errorOf(round, name, round.times), 0)).join(', ')]));
  printTable([['load', 'time', 'live, ms', 'simulated, ms', 'error, %', 'of each round, %'], ...rows]);
  for (const {kind, pace, share, doubts} of compared) {
    console.log(`${words[kind]}: the engine was in steps ${figure(pace, 2)} times as long as the simulated replica; ` +
                `its thread had ${figure(100 * share, 0)} % of a processor at least while it computed.`);
    for (const doubt of doubts) console.log(`Doubtful: ${doubt}.`);
  }
}

async function main() {
  const flags = readFlags({engine: {type: 'boolean'}, runs: {type: 'string'}, size: {type: 'string', default: '15m'},
                           rate: {type: 'string', default: '0'}, keep: {type: 'string'}});
  limitTime(900);
  const facts = environment();
  printEnvironment(facts);
  try {
    setPriority(-15);  // As root: what else runs here would be taken for the engine's pace.
  } catch {
    console.log('Not at a raised priority: other work may be taken for the engine\'s pace.');
  }
  const folder = flags.keep ?? temporaryFolder();
  mkdirSync(folder, {recursive: true});
  const rounds = Number(flags.runs ?? (flags.quick ? 1 : 5));
  if (rounds > 0) {
    await measureAll(await synthesise(flags.size), folder, {
      rounds, seconds: flags.quick ? 10 : 30, rate: Number(flags.rate), requests: flags.quick ? 60 : 160});
  }
  const all = collect(folder);
  const compared = [await compare(folder, 'open', '', all),
                    await compare(folder, 'closed', `, users: ${kUsers}`, all)];
  print(compared, all.rounds[0].rate);
  console.log('');
  const words = {open: '', closed: ` of ${kUsers} users`};
  conclude({
    name: 'simulator --engine',
    goals: compared.flatMap((of) => Object.keys(of.live).map((name) => ({
      name: `% error of ${name.replace('_', ' ')}${words[of.kind]}`, value: Math.abs(errorOf(of, name)), digits: 1,
      most: 10}))),
    json: flags.json,
    raw: {environment: facts, compared, ...all},
  });
}

await main();
