// benchmarks/fidelity: a load generator's stamps against the truth, and its processor time per
// event.

import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {processorTime, residentBytes} from './processes.mjs';
import {tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';
import {finish, kBenchCore, kPaced, measureError, penstockBench, readLines, startBench, startSource} from './truth.mjs';

const kStreams = 1000;
const kErrorMaxMs = 1;
const kEventsPerSecondLeast = 400000;
const kCoalescedPerSecondLeast = 2500000;
// Where the kernel's own price of a receive forbids the above, this much of what a loop that only
// receives (and looks at nothing) can take on the same machine in the same run.
const kShareOfFloorLeast = 0.7;
const kSharedReadsMax = 0.02;  // More, and "one event per read" would not be true.

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

const steadyBench = (source, records, tokens) =>
    startBench(source, records, {requests: kStreams, warmup: 0, tokens, streams: kStreams});

// A loop that receives and looks at nothing; with the kernel's receive stamps; and, as penstock bench
// does where a server does not wait, with acknowledgements put off.
const kFloors = {
  plain: {stamps: 0, acks: 1},
  stamped: {stamps: 1, acks: 1},
  put_off: {stamps: 1, acks: 0},
};
const floorWith = (settings) => (source) => ({
  ...start(
      tool('sse_floor'),
      [
        `port=${source.port}`, `streams=${kStreams}`,
        ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)
      ],
      {core: kBenchCore}),
  floor: true,
});

// The fastest of some paces at which reads still hold one event each.
async function findRate(seconds) {
  for (const gap_us of [7000, 10000, 15000, 25000]) {
    const rate = await measureRate(steadyBench, {gap_us, seconds});
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
        await measureError(penstockBench, {
          streams: kStreams,
          requests: flags.quick ? 1000 : 2000,
          tokens: flags.quick ? 20 : 60,
          pace: kPaced,
        }));
  const seconds = flags.quick ? 1.5 : 4;
  const rates = [await findRate(seconds)];
  const pace = {gap_us: rates[0].gap_us, seconds};
  while (rates.length < runs) rates.push(await measureRate(steadyBench, pace));
  const floors = {plain: [], stamped: [], put_off: [], coalesced: []};
  const coalesced = [];
  for (let i = 0; i < runs; ++i) {
    for (const [name, settings] of Object.entries(kFloors)) {
      floors[name].push(await measureRate(floorWith(settings), pace));
    }
    const slower = {...pace, gap_us: 2 * pace.gap_us, events_per_write: 16};
    floors.coalesced.push(await measureRate(floorWith(kFloors.put_off), slower));
    coalesced.push(await measureRate(steadyBench, slower));
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
    row('… and puts acknowledgements off', column(floors.put_off, 'events_per_s_per_core'), 0, ''),
    row('events/s per core, 16 events per read', column(coalesced, 'events_per_s_per_core'), 0,
        `≥ ${kCoalescedPerSecondLeast}`),
    row('… the loop that only receives, all of that',
        column(floors.coalesced, 'events_per_s_per_core'), 0, ''),
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
          median(column(floors.put_off, 'events_per_s_per_core'))),
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
