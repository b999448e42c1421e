// benchmarks/flood: what a flooding tenant takes from two others, under three ways to limit it.

import {readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {drawFlood} from './flood_report.mjs';
import {simulateFlood} from './flood_simulation.mjs';
import {startPenstockWith, tool} from './programs.mjs';
import {conclude, environment, figure, printEnvironment, printTable, readFlags} from './report.mjs';

const kScenario = join(dirname(fileURLToPath(import.meta.url)), '../scenarios/flood');
const kPolicies = ['contract', 'first come', 'after the fact'];

// Seeded, and the same everywhere: splitmix64 on 64-bit integers.
function generator(seed) {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
  };
}

// Rows of a trace as its publisher writes it: "2023-11-16 18:17:03.9799600,4808,10".
function rowsOfAzure(file, from_s, seconds) {
  const rows = readFileSync(file, 'utf8').trim().split('\n').slice(1).map((line) => {
    const [time, input, output] = line.split(',');
    return {at: Date.parse(`${time.slice(0, 23).replace(' ', 'T')}Z`) / 1000,
            input: Number(input), output: Math.max(1, Number(output))};
  });
  const begin = rows[0].at + from_s;
  return rows.map((row) => ({...row, at: row.at - begin})).filter(({at}) => at >= 0 && at < seconds);
}

function requestsOf(tenant, random, {traces, begin_s, seconds}) {
  if (tenant.trace && traces) {
    return rowsOfAzure(join(traces, tenant.published_as), begin_s, seconds);
  }
  if (tenant.trace) {
    return readFileSync(join(kScenario, tenant.trace), 'utf8').trim().split('\n').slice(1).map((line) => {
      const [due, input, output] = line.split(',').map(Number);
      return {at: due / 1000, input, output};
    });
  }
  const {rate_per_s, from_s, to_s, input_tokens, output_tokens} = tenant.poisson;
  const between = ([low, high]) => Math.floor(low + random() * (high - low + 1));
  const requests = [];
  for (let at = from_s - Math.log1p(-random()) / rate_per_s; at < to_s;
       at -= Math.log1p(-random()) / rate_per_s) {
    requests.push({at, input: between(input_tokens), output: between(output_tokens)});
  }
  return requests;
}

// All requests of all tenants by time, of the scenario's first `seconds`.
function scheduleOf(scenario, slice) {
  const random = generator(scenario.seed);
  return scenario.tenants
      .flatMap((tenant) => requestsOf(tenant, random, slice).map((each) => ({...each, tenant: tenant.name})))
      .filter(({at}) => at < slice.seconds)
      .sort((x, y) => x.at - y.at);
}

// The contracts as `penstock serve --static-policies` reads them, `speed` times faster.
function policiesOf(scenario, speed, policy) {
  const {engine} = scenario;
  const endpoints = {};
  for (const tenant of scenario.tenants) {
    const ms = (seconds) => Math.round(seconds * 1000 / speed);
    endpoints[tenant.name] = policy !== 'contract' ? {} : {
      pool: 'replica',
      output_weight: engine.output_weight,
      guarantee_cost_per_s: (tenant.guarantee_cost_per_s ?? 0) * speed,
      guarantee_burst_ms: ms(tenant.guarantee_burst_s ?? 30),
      cap_cost_per_s: (tenant.cap_cost_per_s ?? 0) * speed,
      cap_burst_ms: ms(tenant.cap_burst_s ?? 60),
      ttft_target_ms: ms(scenario.ttft_limit_s),
      overload: 'queue',
    };
  }
  const pool = {
    replica_cost_per_s: engine.cost_per_s * speed,
    replica_concurrency: engine.concurrency,
    queue_max: 100000,
    queue_wait_max_ms: Math.round(scenario.queue_wait_max_s * 1000 / speed),
  };
  return {pools: {replica: pool}, endpoints};
}

async function runPolicy(scenario, schedule, {speed, seconds, policy}) {
  const folder = temporaryFolder();
  const engine = start(tool('batch_engine'), [
    `slots=${scenario.engine.slots}`, `prefill_tokens=${scenario.engine.prefill_tokens_per_step}`,
    `cost_per_s=${scenario.engine.cost_per_s}`, `output_weight=${scenario.engine.output_weight}`,
    `step_fixed_us=${scenario.engine.step_fixed_ms * 1000}`, `speed=${speed}`,
  ]);
  const upstream = JSON.parse((await engine.lines.next()).value).port;
  const policies = join(folder, 'policies.json');
  writeFileSync(policies, JSON.stringify(policiesOf(scenario, speed, policy)));
  const penstock = await startPenstockWith([
    ...scenario.tenants.map(({name}) => `--static-endpoint=${name}=http://127.0.0.1:${upstream}`),
    `--static-policies=${policies}`,
  ]);
  const file = join(folder, 'schedule');
  const records = join(folder, 'records');
  writeFileSync(file, schedule.map(({at, tenant, input, output}) =>
    `${Math.round(at * 1e6 / speed)} ${tenant} ${input} ${output}\n`).join(''));
  const quota = policy !== 'after the fact' ? [] : [
    // What each may draw in a minute, counted when its answers are over.
    `quota=${scenario.tenants.map(({name, guarantee_cost_per_s, cap_cost_per_s}) =>
      `${name}:${60 * (guarantee_cost_per_s ?? cap_cost_per_s)}`).join(',')}`,
    `quota_us=${Math.round(60e6 / speed)}`,
  ];
  const tenants = start(tool('tenants'), [
    `port=${penstock.port}`, `key=${penstock.key}`, `schedule=${file}`, `records=${records}`,
    `grace_us=${Math.round(20e6 / speed)}`, ...quota,
  ]);
  const {value, done} = await tenants.lines.next();
  if (done) throw new Error(`tenants: ${tenants.errors()}`);
  const told = JSON.parse(value);
  await penstock.stop();
  await engine.stop();
  const {slower} = JSON.parse((await engine.lines.next()).value);
  const rows = readFileSync(records, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  return {policy, told, slower, seconds, requests: rows.map((row) => inSeconds(row, speed))};
}

function inSeconds({endpoint, due_us, first_us, end_us, status, input, output}, speed) {
  const seconds = (us) => us < 0 ? undefined : us * speed / 1e6;
  return {tenant: endpoint, due: seconds(due_us), first: seconds(first_us), end: seconds(end_us),
          status, input, output};
}

const cost = ({input, output}, weight) => input + weight * output;

// Cost that a contract covers: what a bucket of the guarantee's rate and burst lets through. A
// request beyond it is no part of the promise.
function contracted(requests, tenant, weight) {
  let level = tenant.guarantee_cost_per_s * tenant.guarantee_burst_s;
  let last = 0;
  let sum = 0;
  for (const request of requests) {
    level = Math.min(tenant.guarantee_cost_per_s * tenant.guarantee_burst_s,
                     level + tenant.guarantee_cost_per_s * (request.due - last));
    last = request.due;
    const share = Math.min(level, cost(request, weight));
    level -= share;
    sum += share;
  }
  return sum;
}

// The most cost that was served to a tenant within any 60 s, per second. A request's cost is spread
// evenly over the time that it ran.
function mostInAMinute(requests, weight, seconds) {
  const served = new Array(Math.ceil(seconds) + 120).fill(0);
  for (const request of requests.filter(({status, end}) => status === 200 && end !== undefined)) {
    const from = Math.floor(request.first ?? request.due);
    const to = Math.max(from, Math.floor(request.end));
    for (let second = from; second <= to && second < served.length; ++second) {
      served[second] += cost(request, weight) / (to - from + 1);
    }
  }
  let most = 0;
  let window = 0;
  served.forEach((value, second) => {
    window += value - (second >= 60 ? served[second - 60] : 0);
    most = Math.max(most, window / 60);
  });
  return {most, served};
}

function resultOf(run, scenario) {
  const weight = scenario.engine.output_weight;
  const tenants = scenario.tenants.map((tenant) => {
    const mine = run.requests.filter((each) => each.tenant === tenant.name).sort((x, y) => x.due - y.due);
    const good = mine.filter(({status, end}) => status === 200 && end !== undefined);  // Whole.
    const served = good.reduce((sum, each) => sum + cost(each, weight), 0);
    const waits = mine.map(({due, first, status}) =>
      status === 200 && first !== undefined ? first - due : Infinity).sort((x, y) => x - y);
    const in_time = waits.filter((wait) => wait <= scenario.ttft_limit_s).length;
    const {most, served: per_second} = mostInAMinute(mine, weight, run.seconds);
    const promised = tenant.guarantee_cost_per_s ? contracted(mine, tenant, weight) : undefined;
    return {
      name: tenant.name, sent: mine.length, good: good.length,
      refused: mine.filter(({status}) => status === 429).length, served, promised,
      delivered: served / mine.reduce((sum, each) => sum + cost(each, weight), 0),
      contract: promised ? Math.min(1, served / promised) : undefined,
      in_time: mine.length === 0 ? NaN : in_time / mine.length,
      ttft_p50: waits[waits.length >> 1], ttft_p99: waits[Math.floor(waits.length * 0.99)],
      most, per_second,
    };
  });
  return {policy: run.policy, told: run.told, slower: run.slower, tenants};
}

function printResults(results) {
  const percent = (value) => value === undefined ? '' : figure(100 * value, 1) + ' %';
  const seconds = (value) => Number.isFinite(value) ? figure(value, 2) + ' s' : 'never';
  printTable([
    ['policy, tenant', 'sent', 'answered', 'refused', 'of contract', 'TTFT in time', 'TTFT p50',
     'TTFT p99', 'most in 60 s'],
    ...results.flatMap(({policy, tenants}) => tenants.map((each) => [
      `${policy}, ${each.name}`, String(each.sent), String(each.good), String(each.refused),
      percent(each.contract), percent(each.in_time), seconds(each.ttft_p50), seconds(each.ttft_p99),
      `${Math.round(each.most)}/s`,
    ])),
  ]);
  console.log('');
}

// What a run with a virtual clock, under the same policy code, says of the same requests.
function printSimulated(live, simulated) {
  const percent = (value) => figure(100 * value, 1) + ' %';
  printTable([
    ['contract, tenant', 'in time, live', 'simulated', 'cost delivered, live', 'simulated'],
    ...simulated.map(({name, in_time, delivered}) => {
      const real = live.tenants.find((each) => each.name === name);
      return [name, percent(real.in_time), percent(in_time), percent(real.delivered), percent(delivered)];
    }),
  ]);
  console.log('');
}

// Percentage points between the live run and the simulated one, of the tenants with a promise.
function farthest(live, simulated) {
  return 100 * Math.max(...simulated.flatMap(({name, in_time, delivered}) => {
    const real = live.tenants.find((each) => each.name === name);
    return [Math.abs(real.in_time - in_time), Math.abs(real.delivered - delivered)];
  }));
}

const flags = readFlags({
  report: {type: 'string'}, speed: {type: 'string'}, seconds: {type: 'string'},
  policy: {type: 'string', multiple: true}, traces: {type: 'string'}, from: {type: 'string'},
});
const scenario = JSON.parse(readFileSync(join(kScenario, 'scenario.json'), 'utf8'));
const speed = Number(flags.speed ?? (flags.quick ? 8 : 5));
const seconds = Number(flags.seconds ?? (flags.quick ? 300 : scenario.seconds));
const policies = flags.policy ?? (flags.quick ? kPolicies.slice(0, 1) : kPolicies);
limitTime(policies.length * (seconds / speed + 60));
const facts = environment();
printEnvironment(facts);
const slice = {traces: flags.traces, begin_s: Number(flags.from ?? 0), seconds};
const schedule = scheduleOf(scenario, slice);
const results = [];
for (const policy of policies) {
  results.push(resultOf(await runPolicy(scenario, schedule, {speed, seconds, policy}), scenario));
}
printResults(results);
const [ours] = results;
const simulated = ours.policy === 'contract' ? await simulateFlood(scenario, schedule) : [];
if (simulated.length > 0) printSimulated(ours, simulated);
const slower = Math.max(...results.map((each) => each.slower));
if (slower > 0.03) {
  console.log(`The machine was too slow for this speed: the engine lost ${
    figure(100 * slower, 1)} % of its time. Run with a smaller --speed.`);
}
if (flags.report) writeFileSync(flags.report, drawFlood(results, scenario, {speed, seconds, facts}));
const of = (name) => ours.tenants.find((each) => each.name === name);
const capped = scenario.tenants.find(({cap_cost_per_s}) => cap_cost_per_s);
const bound = capped.cap_cost_per_s * (1 + capped.cap_burst_s / 60);
conclude({
  name: 'flood',
  json: flags.json,
  raw: {environment: facts, speed, seconds, results, simulated},
  goals: [
    ...scenario.tenants.filter(({goal_contract}) => goal_contract).flatMap((tenant) => [
      {name: `% of contract, ${tenant.name}`, value: 100 * of(tenant.name).contract, digits: 1,
       least: 100 * tenant.goal_contract},
      {name: `% of first tokens in time, ${tenant.name}`, value: 100 * of(tenant.name).in_time, digits: 1,
       least: 100 * tenant.goal_ttft},
    ]),
    {name: `cost/s of ${capped.name} in its fullest minute`, value: of(capped.name).most, digits: 0,
     most: bound},
    ...(simulated.length > 0 ?
          [{name: 'points between live and simulated', value: farthest(ours, simulated), digits: 1, most: 3}] : []),
  ],
});
