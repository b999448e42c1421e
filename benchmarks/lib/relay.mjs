// benchmarks/relay: processor time per event, system calls per event and memory per stream of two
// relays.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {startFloor, startNginx, startPair, startPenstock} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

// Cores: a relay's, and that of source and client. On one core all share its caches; on two, what
// travels between them costs more, and waking up costs too. The ratio is smaller there.
const kPlacements = {
  apart: {relay: 0, load: 1},
  together: {relay: 0, load: 0},
};

// The least by which nginx's processor time per event must exceed ours. Where a client asks for
// usage, its stream is relayed verbatim, as nginx does; where it does not, Penstock asks in its
// place, leaves the usage event out of the stream, and frames the events anew: the last case, with
// a goal of its own.
const kCases = [
  {
    name: 'SSE, 1,000 streams',
    least: 1.4,
    load: {kind: 'stream', connections: 1000, usage: 1},
    with_floor: true
  },
  {name: 'SSE, 4,000 streams', least: 1.25, load: {kind: 'stream', connections: 4000, usage: 1}},
  {
    name: 'SSE, 1,000 streams, 16 events a write',
    least: 1.0,
    load: {kind: 'stream', connections: 1000, events_per_write: 16, usage: 1}
  },
  {name: 'small requests, 64 connections', least: 1.15, load: {kind: 'request', connections: 64}},
  {
    name: 'SSE, 1,000 streams, usage left out',
    least: 1.0,
    load: {kind: 'stream', connections: 1000}
  },
];
const kTraced = {
  kind: 'stream',
  connections: 100,
  warmup_ms: 100,
  window_ms: 1500
};
const kHeld = {
  kind: 'hold',
  connections: 4000,
  warmup_ms: 1000,
  window_ms: 200
};
const kResidentPerStreamMax = 3.0;  // KB
const kCallsPerEventMax =
    1.05;  // One, and room for the heads, accepts and wake-ups around the events.

async function measure(pair, relay, load) {
  const result = await pair.measure({
    ...load,
    port: relay.port,
    processes: relay.processes.join(','),
    ...(relay.key ? {key: relay.key} : {}),
  });
  if (!result.opened || !result.finished || result.failures > 0) {
    throw new Error(`${relay.name}: ${JSON.stringify(result)}`);
  }
  return result;
}

// Processor time of the relay per event (or per request), in ns.
function cost(result, load) {
  const units = load.kind === 'request' ? result.responses : result.events;
  return result.processor_ns / units;
}

// Pairs of runs of one case, the order swapped from pair to pair.
async function comparePaired(
    pair, relays, floor, {name, load, with_floor}, {pairs, warmup_ms, window_ms}) {
  const runs = [];
  for (let i = 0; i < pairs; ++i) {
    const order = i % 2 === 0 ? [...relays] : [...relays].reverse();
    if (with_floor) order.push(floor);
    const costs = {};
    const results = {};
    for (const relay of order) {
      results[relay.name] = await measure(pair, relay, {...load, warmup_ms, window_ms});
      costs[relay.name] = cost(results[relay.name], load);
    }
    runs.push({costs, results, ratio: costs.nginx / costs.penstock});
  }
  return {name, runs};
}

// Calls of the receiving and the sending family that a relay makes for each event, all else of its
// streams included.
async function traceCalls(pair, relay) {
  const file = join(temporaryFolder(), 'strace');
  const families = {
    receive: ['recvfrom', 'recvmsg', 'read', 'readv', 'io_uring_enter'],
    send: ['sendto', 'sendmsg', 'write', 'writev']
  };
  const targets = relay.processes.flatMap((process_id) => ['-p', String(process_id)]);
  const names = [...families.receive, ...families.send].join(',');
  const strace = start(
      'strace', ['-f', '-c', '-U', 'name,calls', '-e', `trace=${names}`, '-o', file, ...targets]);
  await strace.hasSaid(/attached/);
  const result = await measure(pair, relay, kTraced);
  await strace.stop('SIGINT');
  const calls =
      Object.fromEntries([...readFileSync(file, 'utf8').matchAll(/^\s*(\w+)\s+(\d+)$/gm)].map(
          ([, name, count]) => [name, Number(count)]));
  const perEvent = (family) =>
      family.reduce((sum, name) => sum + (calls[name] ?? 0), 0) / result.events_total;
  return {
    calls,
    events: result.events_total,
    receive: perEvent(families.receive),
    send: perEvent(families.send)
  };
}

// Resident bytes that each stream adds to a freshly started relay while it waits for its next
// token.
async function residentPerStream(pair, startRelay, core) {
  const relay = await startRelay(pair.port, core);
  await measure(pair, relay, {kind: 'request', connections: 1, warmup_ms: 20, window_ms: 20});
  const held = await measure(pair, relay, kHeld);
  await relay.stop();
  return (held.resident_after - held.resident_before) / kHeld.connections / 1024;
}

function printResults(cases, traced, resident) {
  const rows = [[
    'CPU per event, ns (medians)', 'nginx', 'penstock', 'floor', 'nginx ÷ penstock', 'spread',
    'goal'
  ]];
  for (const {name, runs, least} of cases) {
    const ratios = runs.map(({ratio}) => ratio);
    rows.push([
      name,
      figure(median(runs.map(({costs}) => costs.nginx)), 0),
      figure(median(runs.map(({costs}) => costs.penstock)), 0),
      runs[0].costs.floor ? figure(median(runs.map(({costs}) => costs.floor)), 0) : '',
      figure(median(ratios)),
      spread(ratios, 2),
      `≥ ${least}`,
    ]);
  }
  printTable(rows);
  console.log('');
  const row = (name, values, goal, digits = 2) =>
      [name, figure(values.nginx, digits), figure(values.penstock, digits), '', '', '', goal];
  printTable([
    ['', 'nginx', 'penstock', '', '', '', 'goal'],
    row('receive calls per event', {nginx: traced.nginx.receive, penstock: traced.penstock.receive},
        '1'),
    row('send calls per event', {nginx: traced.nginx.send, penstock: traced.penstock.send}, '1'),
    row('resident KB per idle stream', resident, `≤ ${kResidentPerStreamMax}`),
  ]);
  console.log('');
}

async function main() {
  const flags = readFlags({pairs: {type: 'string'}, together: {type: 'boolean'}});
  const cores = kPlacements[flags.together ? 'together' : 'apart'];
  const pairs = Number(flags.pairs ?? (flags.quick ? 2 : 5));
  const timing = flags.quick ? {pairs, warmup_ms: 400, window_ms: 1200} :
                               {pairs, warmup_ms: 1000, window_ms: 3000};
  limitTime(60 + pairs * kCases.length * 2 * 15);
  const facts = environment();
  printEnvironment(facts);

  const pair = await startPair(cores.load);
  const resident = {
    nginx: await residentPerStream(pair, startNginx, cores.relay),
    penstock: await residentPerStream(pair, startPenstock, cores.relay),
  };
  const relays =
      [await startNginx(pair.port, cores.relay), await startPenstock(pair.port, cores.relay)];
  const floor = await startFloor(pair.port, cores.relay);
  const cases = [];
  for (const each of kCases)
    cases.push({...each, ...(await comparePaired(pair, relays, floor, each, timing))});
  await floor.stop();
  const traced = {};
  for (const relay of relays) traced[relay.name] = await traceCalls(pair, relay);
  for (const relay of relays) await relay.stop();
  await pair.stop();

  printResults(cases, traced, resident);
  conclude({
    name: 'relay',
    goals: [
      ...cases.map(
          ({name, runs, least}) => ({name, value: median(runs.map(({ratio}) => ratio)), least})),
      {name: 'receive calls per event', value: traced.penstock.receive, most: kCallsPerEventMax},
      {name: 'send calls per event', value: traced.penstock.send, most: kCallsPerEventMax},
      {name: 'resident KB per idle stream', value: resident.penstock, most: kResidentPerStreamMax},
    ],
    json: flags.json,
    raw: {environment: facts, cores, cases, traced, resident},
  });
}

await main();
