// benchmarks/fidelity: a load generator's stamps against the truth, and its processor time per
// event.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {processorTime, residentBytes} from './processes.mjs';
import {kPenstock, tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kStreams = 1000;
const kBenchCore = 0;
const kSourceCore = 1;
const kErrorMaxMs = 1;
const kEventsPerSecondLeast = 400000;
const kCoalescedPerSecondLeast = 2500000;
// Where the kernel's own price of a receive forbids the above, this much of what a loop that only
// receives (and looks at nothing) can take on the same machine in the same run.
const kShareOfFloorLeast = 0.7;
const kSharedReadsMax = 0.02;  // More, and "one event per read" would not be true.

const readLines = (file) =>
    readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

async function startSource(settings) {
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const source = start(tool('sse_source'), words, {core: kSourceCore});
  const {port} = JSON.parse((await source.lines.next()).value);
  return {...source, port};
}

function startBench(source, records, {requests, warmup, tokens}) {
  return start(
      kPenstock,
      [
        'bench',
        `http://127.0.0.1:${source.port}/v1/chat/completions`,
        '--model=bench',
        `--concurrency=${kStreams}`,
        `--requests=${requests}`,
        `--warmup=${warmup}`,
        '--input-tokens=128',
        `--output-tokens=${tokens}`,
        `--records=${records}`,
        '--threads=1',
        '--no-progress',
      ],
      {core: kBenchCore});
}

async function finish(bench) {
  const {code, signal} = await bench.ended;
  // 1: it ran, and calls its own run in doubt; the records are there all the same.
  if (code !== 0 && code !== 1)
    throw new Error(`penstock bench ended with ${signal ?? code}: ${bench.errors()}`);
}

function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(fraction * (sorted.length - 1))];
}

// The request records, in the order of sending, each with the truth about it. The source numbers
// requests as they arrive, on connections that the bench wrote to in turn: the n-th sent is the
// n-th to arrive, but for neighbours within microseconds.
function matchTruth(records_file, truth_file) {
  const records = readLines(records_file)
                      .filter((line) => line.sent_ns !== undefined)
                      .sort((a, b) => a.sent_ns - b.sent_ns);
  const truths = readLines(truth_file).sort((a, b) => a.arrived_ns - b.arrived_ns);
  if (records.length !== truths.length) {
    throw new Error(`${records.length} records of ${truths.length} requests`);
  }
  return records.map((record, index) => ({...record, truth: truths[index]}));
}

// One run at a pace that people read at: {median_ms, p99_ms, bias_ms} of the error in time to first
// token.
async function measureError({requests, tokens}) {
  const folder = temporaryFolder();
  const [records, truth] = [join(folder, 'records.jsonl'), join(folder, 'truth.jsonl')];
  const source =
      await startSource({gap_us: 50000, first_token_ms: 50, first_token_max_ms: 550, truth});
  await finish(startBench(source, records, {requests, warmup: kStreams, tokens}));
  await source.stop();
  const errors = matchTruth(records, truth)
                     .filter((record) => record.phase === 'measured')
                     .map(
                         (record) => (record.first_token_ns - record.sent_ns -
                                      (record.truth.first_token_ns - record.truth.arrived_ns)) /
                             1e6);
  const sizes = errors.map(Math.abs);
  return {
    median_ms: median(sizes),
    p99_ms: quantile(sizes, 0.99),
    bias_ms: median(errors),
    requests: errors.length
  };
}

// What a core can take: {ns_per_event, events_per_s_per_core, shared_reads} over `seconds` of
// steady streaming. `startClient(source, records)` starts what is measured. All streams send
// together, as an engine steps, so that the client works without a pause until the round is done: a
// wake-up for each event would be measured otherwise. `gap_us` leaves it the time to end each round
// before the next.
async function measureRate(startClient, {gap_us, seconds, events_per_write = 1}) {
  const folder = temporaryFolder();
  const records = join(folder, 'records.jsonl');
  const tokens = Math.ceil(((seconds + 3) * 1e6) / gap_us) * events_per_write;
  const source = await startSource({gap_us, rounds: 1, events_per_write});
  const client = startClient(source, records, tokens);
  const sample = async () => {
    source.child.kill('SIGUSR1');
    const {value} = await source.lines.next();
    return {...JSON.parse(value), processor_ns: processorTime([client.pid])};
  };
  // Until every stream runs: the requests that fit prompts come first, one by one.
  const running = kStreams * (1e6 / gap_us) * events_per_write;
  let ended = false;
  client.ended.then(() => {
    ended = true;
  });
  while (!ended && (await sample()).tokens_sent < running) await pause(100);
  if (ended) throw new Error(`the client ended early: ${client.errors()}`);
  const before = await sample();
  await pause(seconds * 1000);
  // It came to its end: the source could not keep this pace, and then caught up.
  if (ended) {
    await source.stop();
    return {gap_us, shared_reads: 1};
  }
  const after = await sample();
  const events = after.tokens_sent - before.tokens_sent;
  const ns_per_event = (after.processor_ns - before.processor_ns) / events;
  const told = {
    gap_us,
    ns_per_event,
    events_per_s_per_core: 1e9 / ns_per_event,
    offered_events_per_s: (1e9 * events) / (after.now_ns - before.now_ns),
    resident_bytes: residentBytes([client.pid]),
  };
  if (client.floor) {
    await client.stop();
    await source.stop();
    return {...told, shared_reads: 0};
  }
  await finish(client);
  await source.stop();
  const all = readLines(records).filter((line) => line.sent_ns !== undefined);
  const sum = (key) => all.reduce((total, record) => total + record[key], 0);
  return {...told, shared_reads: sum('shared_reads') / sum('reads')};
}

const penstockBench = (source, records, tokens) =>
    startBench(source, records, {requests: kStreams, warmup: 0, tokens});

// A loop that receives and looks at nothing, without or with the kernel's receive stamps.
const floorWith = (stamps) => (source) => ({
  ...start(
      tool('sse_floor'), [`port=${source.port}`, `streams=${kStreams}`, `stamps=${stamps}`],
      {core: kBenchCore}),
  floor: true,
});

// The fastest of some paces at which reads still hold one event each.
async function findRate(seconds) {
  for (const gap_us of [7000, 10000, 15000, 25000]) {
    const rate = await measureRate(penstockBench, {gap_us, seconds});
    if (rate.shared_reads <= kSharedReadsMax) return rate;
  }
  throw new Error('this machine is too busy: reads hold several events even at a slow pace');
}

// The goal in events, unless not even the floor reaches it with room for any work: then the share.
function rateGoal(rate, floor) {
  if (floor * kShareOfFloorLeast >= kEventsPerSecondLeast) {
    return {name: 'events/s per core', digits: 0, least: kEventsPerSecondLeast, value: rate};
  }
  console.log(
      `A loop that only receives takes ${Math.round(floor)} events/s a core here: the goal of ` +
      `${kEventsPerSecondLeast} is out of reach of any program, its share of that loop is judged.`);
  return {
    name: 'events/s ÷ those of the bare loop',
    least: kShareOfFloorLeast,
    value: rate / floor
  };
}

async function main() {
  const flags = readFlags({runs: {type: 'string'}});
  const runs = Number(flags.runs ?? (flags.quick ? 1 : 5));
  limitTime(120 + runs * 120);
  const facts = environment();
  printEnvironment(facts);

  const errors = [];
  for (let i = 0; i < runs; ++i)
    errors.push(
        await measureError({requests: flags.quick ? 1000 : 2000, tokens: flags.quick ? 20 : 60}));
  const seconds = flags.quick ? 1.5 : 4;
  const rates = [await findRate(seconds)];
  const pace = {gap_us: rates[0].gap_us, seconds};
  while (rates.length < runs) rates.push(await measureRate(penstockBench, pace));
  const floors = {plain: [], stamped: []};
  const coalesced = [];
  for (let i = 0; i < runs; ++i) {
    floors.plain.push(await measureRate(floorWith(0), pace));
    floors.stamped.push(await measureRate(floorWith(1), pace));
    coalesced.push(
        await measureRate(penstockBench, {...pace, gap_us: 2 * pace.gap_us, events_per_write: 16}));
  }

  const column = (list, key) => list.map((each) => each[key]);
  const row =
      (name, values, digits,
       goal) => [name, figure(median(values), digits), spread(values, digits), goal];
  printTable([
    [`penstock bench, ${kStreams} streams`, `median of ${runs}`, 'spread', 'goal'],
    row('TTFT error p50, ms', column(errors, 'median_ms'), 3, `≤ ${kErrorMaxMs}`),
    row('TTFT error p99, ms', column(errors, 'p99_ms'), 3, ''),
    row('TTFT bias (late is positive), ms', column(errors, 'bias_ms'), 3, ''),
    row('events/s per core, one event per read', column(rates, 'events_per_s_per_core'), 0,
        `≥ ${kEventsPerSecondLeast}`),
    row('… a loop that only receives', column(floors.plain, 'events_per_s_per_core'), 0, ''),
    row('… and has the kernel stamp it', column(floors.stamped, 'events_per_s_per_core'), 0, ''),
    row('events/s per core, 16 events per read', column(coalesced, 'events_per_s_per_core'), 0,
        `≥ ${kCoalescedPerSecondLeast}`),
    row('offered meanwhile, events/s', column(rates, 'offered_events_per_s'), 0, ''),
    row('reads that held several events, %',
        column(rates, 'shared_reads').map((share) => 100 * share), 2, ''),
  ]);
  console.log('');
  conclude({
    name: 'fidelity',
    goals: [
      {
        name: 'TTFT error p50 ms',
        value: median(column(errors, 'median_ms')),
        digits: 3,
        most: kErrorMaxMs
      },
      rateGoal(
          median(column(rates, 'events_per_s_per_core')),
          median(column(floors.stamped, 'events_per_s_per_core'))),
      {
        name: 'events/s per core, 16 per read',
        digits: 0,
        least: kCoalescedPerSecondLeast,
        value: median(column(coalesced, 'events_per_s_per_core')),
      },
    ],
    json: flags.json,
    raw: {environment: facts, errors, rates, floors, coalesced},
  });
}

await main();
