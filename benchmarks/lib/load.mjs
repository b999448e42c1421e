// benchmarks/load: what the gateway holds, and what it adds.

import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import {limitTime} from './children.mjs';
import {residentBytes} from './processes.mjs';
import {startFloor, startNginx, startPair, startPenstock, startPenstockWith, tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kRelayCore = 0;
const kLoadCore = 1;
const kRate = 2000;
const kUnsentShareMax = 0.05;
const kPerEndpoint = 20;
const kDescriptorsBeside = 120;  // Of a server with so many streams: files, listeners, wake-ups.

async function latencies(pair, relay, timing) {
  const result = await pair.measure({
    kind: 'paced',
    rate: kRate,
    connections: 256,
    port: relay.port,
    ...timing,
    ...(relay.key ? {key: relay.key} : {}),
  });
  // A pause of the load's own thread leaves some unsent.
  const too_many = result.unsent > kUnsentShareMax * result.responses;
  if (result.failures > 0 || result.unanswered > 0 || too_many)
    throw new Error(`${relay.name}: ${JSON.stringify(result)}`);
  return result;
}

// Runs without and with a relay between client and server, all relays in turn; one that waits has
// its core for itself.
async function addedLatency(pairs, timing) {
  const pair = await startPair(kLoadCore);
  const relays = [
    await startPenstock(pair.port, kRelayCore), await startNginx(pair.port, kRelayCore),
    await startFloor(pair.port, kRelayCore)
  ];
  const direct = {name: 'direct', port: pair.port, key: ''};
  const runs = [];
  for (let i = 0; i < pairs; ++i) {
    const run = {direct: await latencies(pair, direct, timing)};
    for (const relay of relays) run[relay.name] = await latencies(pair, relay, timing);
    runs.push(run);
  }
  for (const relay of relays) await relay.stop();
  await pair.stop();
  const added = (relay, name) => runs.map((run) => (run[relay][name] - run.direct[name]) / 1000);
  const of = (relay) => ({p50_us: added(relay, 'p50_ns'), p99_us: added(relay, 'p99_ns')});
  return {runs, penstock: of('penstock'), nginx: of('nginx'), floor: of('floor')};
}

// The descriptors that a process of ours may have.
function descriptorsMax() {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)[1]);
}

// Holds `streams` silent streams, by as few servers as may hold them, all at the same time.
async function holdStreams(streams) {
  const each_max = Math.floor((descriptorsMax() - kDescriptorsBeside) / 2);
  const servers = Math.ceil(streams / each_max);
  const each = Math.ceil(streams / servers);
  const held = [];
  for (let i = 0; i < servers; ++i) {
    const pair = await startPair();
    const gateway = await startPenstock(pair.port, undefined, ['--connections-max=30000']);
    held.push({pair, gateway});
  }
  const results = await Promise.all(held.map(
      ({pair, gateway}) => pair.measure({
        kind: 'hold',
        connections: each,
        port: gateway.port,
        key: gateway.key,
        processes: gateway.processes.join(','),
        spin: 0,
        open_s: 40,
        warmup_ms: 8000,
        window_ms: 1000,
      })));
  for (const {pair, gateway} of held) {
    await gateway.stop();
    await pair.stop();
  }
  const whole = results.every(({opened, finished, failures}) => opened && finished && !failures);
  return {
    servers,
    streams: whole ? each * servers : 0,
    resident_kb: results.reduce(
                     (sum, {resident_before, resident_after}) =>
                         sum + resident_after - resident_before,
                     0) /
        1024 / (each * servers),
    results,
  };
}

// Resident bytes that each key adds to a server with `endpoints` endpoints.
async function keyMemory(endpoints) {
  const keys = endpoints * kPerEndpoint;
  const pair = await startPair();
  const flags = Array.from(
      {length: endpoints},
      (_, i) => `--static-endpoint=endpoint-${i}=http://127.0.0.1:${pair.port}`);
  const first = await startPenstockWith(flags, kRelayCore);
  await first.stop();
  const resident = async () => {
    const server = await startPenstockWith(flags, kRelayCore, first.data_folder);
    const bytes = residentBytes(server.processes);
    await server.stop();
    return bytes;
  };
  const without = await resident();
  execFileSync(tool('fill_keys'), [join(first.data_folder, 'penstock.db'), String(keys)]);
  const with_keys = await resident();
  await pair.stop();
  return {endpoints, keys, without, with_keys, per_key: (with_keys - without) / keys};
}

// Nanoseconds of processor time to admit and finish a request, pools of 5,000 endpoints in turn.
function admission() {
  const text = execFileSync(
      join(process.env.PENSTOCK_BUILD, 'src/policy/policy_benchmark'),
      ['--benchmark_filter=BM_AdmitAcrossEndpoints', '--benchmark_format=json'],
      {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']});
  return JSON.parse(text).benchmarks[0].cpu_time / 1000;
}

// Each part's rows and goals, from what it measured.
const kParts = {
  latency: async ({quick}) => {
    const timing = quick ? {warmup_ms: 500, window_ms: 1500} : {warmup_ms: 1000, window_ms: 5000};
    const latency = await addedLatency(quick ? 3 : 5, timing);
    return {
      raw: latency,
      rows: [
        ...rowsOf(`latency added at ${kRate}/s, µs`, latency.penstock, '≤ 50'),
        ...rowsOf('… by nginx', latency.nginx, ''),
        ...rowsOf('… by a relay that only moves bytes', latency.floor, ''),
      ],
      goal:
          {name: 'latency added, µs', value: median(latency.penstock.p50_us), digits: 1, most: 50},
    };
  },
  streams: async ({quick}) => {
    const streams = quick ? 4000 : 20000;
    const held = await holdStreams(streams);
    return {
      raw: held,
      rows: [
        [`idle streams held, by ${held.servers} server(s)`, String(held.streams), '', '20000'],
        ['… resident KB of each', figure(held.resident_kb, 2), '', ''],
      ],
      goal: {name: 'streams held', value: held.streams, digits: 0, least: streams},
    };
  },
  keys: async ({quick}) => {
    const keys = await keyMemory(quick ? 1000 : 5000);
    return {
      raw: keys,
      rows: [[
        `bytes of a key, ${keys.keys} keys, ${keys.endpoints} endpoints`, figure(keys.per_key, 0),
        '', '≤ 1024'
      ]],
      goal: {name: 'bytes of a key', value: keys.per_key, digits: 0, most: 1024},
    };
  },
  admission: async () => {
    const admission_us = admission();
    return {
      raw: admission_us,
      rows: [['admission, µs of processor', figure(admission_us, 2), '', '≤ 2']],
      goal: {name: 'admission, µs', value: admission_us, digits: 2, most: 2},
    };
  },
};

const rowsOf = (name, {p50_us, p99_us}, goal) =>
    [[`${name}: p50`, figure(median(p50_us), 1), spread(p50_us, 1), goal],
     ['… p99', figure(median(p99_us), 1), spread(p99_us, 1), '']];

async function main() {
  const flags = readFlags({parts: {type: 'string'}});
  const names = flags.parts ? flags.parts.split(',') : Object.keys(kParts);
  const unknown = names.find((name) => !Object.hasOwn(kParts, name));
  if (unknown !== undefined) {
    throw new Error(`--parts: ${unknown} is none of ${Object.keys(kParts).join(', ')}`);
  }
  limitTime(300);
  const facts = environment();
  printEnvironment(facts);
  const measured = {};
  for (const name of names) measured[name] = await kParts[name](flags);
  const parts = Object.values(measured);

  printTable([['', 'measured', 'spread', 'goal'], ...parts.flatMap(({rows}) => rows)]);
  console.log('');
  conclude({
    name: 'load',
    goals: parts.map(({goal}) => goal),
    json: flags.json,
    raw: {
      environment: facts,
      ...Object.fromEntries(Object.entries(measured).map(([name, {raw}]) => [name, raw]))
    },
  });
}

await main();
