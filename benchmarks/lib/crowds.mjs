// benchmarks/crowds: a load generator's stamps against the truth where many streams run at once, and
// how many several processes hold.

import {readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {residentBytes} from './processes.mjs';
import {freePort, kPenstock, tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kStreams = 1000;
const kManyStreams = 5000;  // At 5 tokens a second each.
const kStampStreams = 10000;
const kStampGapUs = 166667;  // 60,000 events a second.
const kHeldStreams = 50000;
const kHeldProcesses = 4;
const kBenchCore = 0;
const kSourceCore = 1;
const kErrorMaxMs = 0.2;
const kManyErrorMaxMs = 1;
const kStampP99MaxUs = 10;
const kStampP999MaxUs = 50;

const kOpenAiPeer = new URL('../peers/openai-client.mjs', import.meta.url).pathname;

const childrenOf = (pid) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(
        Number);

// Sockets that a process holds; 0 once it has gone.
function socketsOf(pid) {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder)
        .filter((name) => readlinkSync(`${folder}/${name}`).startsWith('socket:'))
        .length;
  } catch {
    return 0;
  }
}

const readLines = (file) =>
    readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

async function startSource(settings) {
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const source = start(tool('sse_source'), words, {core: kSourceCore});
  const {port} = JSON.parse((await source.lines.next()).value);
  return {...source, port};
}

function startBench(
    source, records, {requests, warmup, tokens, streams = kStreams, more = []}) {
  return start(
      kPenstock,
      [
        'bench',
        `http://127.0.0.1:${source.port}/v1/chat/completions`,
        '--model=bench',
        `--concurrency=${streams}`,
        `--requests=${requests}`,
        `--warmup=${warmup}`,
        '--input-tokens=128',
        `--output-tokens=${tokens}`,
        `--records=${records}`,
        '--threads=1',
        '--no-progress',
        ...more,
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

// The request records, in the order of sending, each with the truth about it: that of the same
// x-request-id, or, for a client that sends none, of the n-th to arrive, as the n-th sent will be but
// for neighbours within microseconds.
function matchTruth(records_file, truth_file) {
  const records = readLines(records_file)
                      .filter((line) => line.sent_ns !== undefined)
                      .sort((a, b) => a.sent_ns - b.sent_ns);
  const truths = readLines(truth_file).sort((a, b) => a.arrived_ns - b.arrived_ns);
  if (records.length !== truths.length) {
    throw new Error(`${records.length} records of ${truths.length} requests`);
  }
  const by_id = new Map(truths.map((truth) => [truth.request_id, truth]));
  return records.map(
      (record, index) => ({...record, truth: by_id.get(`bench-${record.id}`) ?? truths[index]}));
}

const kPaced = {gap_us: 50000, first_token_ms: 50, first_token_max_ms: 550};
const kSlow = {gap_us: 200000, first_token_ms: 50, first_token_max_ms: 5050};

// One run at a pace that people read at: {median_ms, p99_ms, bias_ms} of the error in time to first
// token. `client` sends the load, and gives a record per request.
async function measureError(client, {streams, requests, tokens, pace}) {
  const folder = temporaryFolder();
  const [records, truth] = [join(folder, 'records.jsonl'), join(folder, 'truth.jsonl')];
  const source = await startSource({...pace, truth});
  await client(source, records, {requests, warmup: streams, tokens, streams});
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

const penstock = async (source, records, settings) =>
    finish(startBench(source, records, settings));

// OpenAI's own client for JavaScript, one process: the peer that runs here.
async function openaiClient(source, records, settings) {
  const words = Object.entries({port: source.port, records, ...settings})
                    .map(([name, value]) => `${name}=${value}`);
  const client = start(process.execPath, [kOpenAiPeer, ...words], {core: kBenchCore});
  const {code, signal} = await client.ended;
  if (code !== 0) throw new Error(`the peer ended with ${signal ?? code}: ${client.errors()}`);
}

// The error of each event's stamp, in microseconds: {p50_us, p99_us, p999_us, events_per_s,
// events_per_read, flagged_share}. Events that share a read with others are flagged in the records
// (a gap of 0), and their stamps are upper bounds: they stand in p999 all the same.
async function measureStamps({tokens}) {
  const folder = temporaryFolder();
  const [records, truth] = [join(folder, 'records.jsonl'), join(folder, 'truth.jsonl')];
  const source = await startSource({
    gap_us: kStampGapUs,
    first_token_ms: 200,
    first_token_max_ms: 200 + Math.round(kStampGapUs / 1000),
    keep_times: 1,
    truth,
  });
  await penstock(
      source, records, {requests: kStampStreams, warmup: 0, tokens, streams: kStampStreams});
  await source.stop();
  const matched = matchTruth(records, truth).filter((record) => record.phase === 'measured');
  // Both clocks are the machine's monotonic one; the records count from the run's start.
  const base = readLines(records)[0].start_ns;
  const errors = [];
  let [events, reads, flagged, first, last] = [0, 0, 0, Infinity, 0];
  for (const record of matched) {
    let at = record.first_token_ns;
    record.truth.written_ns.forEach((written, index) => {
      if (index > 0) at += record.gaps_ns[index - 1];
      if (index > 0 && record.gaps_ns[index - 1] === 0) ++flagged;
      errors.push(Math.abs(at + base - written) / 1000);
      first = Math.min(first, written);
      last = Math.max(last, written);
    });
    events += record.chunks;
    reads += record.reads;
  }
  const sorted = Float64Array.from(errors).sort();
  const at = (fraction) => sorted[Math.floor(fraction * (sorted.length - 1))];
  return {
    p50_us: at(0.5),
    p99_us: at(0.99),
    p999_us: at(0.999),
    events_per_s: (1e9 * events) / (last - first),
    events_per_read: events / reads,
    flagged_share: flagged / events,
  };
}

// How many streams several processes of ours hold at once, and memory for each of them.
async function measureHeld({tokens}) {
  const folder = temporaryFolder();
  const records = join(folder, 'records.jsonl');
  const port = await freePort();
  const settings = {gap_us: 1000000, first_token_ms: 8000, first_token_max_ms: 12000, port};
  const sources = [];
  for (let i = 0; i < kHeldProcesses; ++i) sources.push(await startSource(settings));
  const bench = startBench(sources[0], records, {
    requests: kHeldStreams,
    warmup: 0,
    tokens,
    streams: kHeldStreams,
    more: [`--processes=${kHeldProcesses}`, '--source-addresses=16'],
  });
  let [held, bytes] = [0, 0];
  let ended = false;
  bench.ended.then(() => {
    ended = true;
  });
  while (!ended) {
    const agents = childrenOf(bench.pid);
    const streams = agents.reduce((sum, pid) => sum + socketsOf(pid), 0);
    if (streams > held) {
      try {
        bytes = residentBytes(agents);
        held = streams;
      } catch {
        // One of them has ended meanwhile.
      }
    }
    await pause(200);
  }
  await finish(bench);
  for (const source of sources) await source.stop();
  const ok = readLines(records).filter((line) => line.kind === 'request' && !line.error).length;
  return {held, bytes_per_stream: bytes / held, answered: ok};
}

async function main() {
  const flags = readFlags({runs: {type: 'string'}, only: {type: 'string'}});
  const runs = Number(flags.runs ?? (flags.quick ? 1 : 5));
  limitTime(120 + runs * 240);
  const facts = environment();
  printEnvironment(facts);
  const wanted = (name) => !flags.only || flags.only.split(',').includes(name);

  const few = {
    streams: kStreams,
    requests: flags.quick ? 1000 : 2000,
    tokens: flags.quick ? 20 : 60,
    pace: kPaced,
  };
  const many = {streams: kManyStreams, requests: kManyStreams, tokens: 20, pace: kSlow};
  const [errors, peers, crowded, stamps] = [[], [], [], []];
  for (let i = 0; i < runs; ++i) {
    errors.push(await measureError(penstock, few));
    if (!flags.quick && wanted('peer')) peers.push(await measureError(openaiClient, few));
    if (!flags.quick && wanted('many')) crowded.push(await measureError(penstock, many));
    if (!flags.quick && wanted('stamps')) stamps.push(await measureStamps({tokens: 60}));
  }
  const held = !flags.quick && wanted('held') ? [await measureHeld({tokens: 20})] : [];

  const column = (list, key) => list.map((each) => each[key]);
  const row =
      (name, values, digits,
       goal) => [name, figure(median(values), digits), spread(values, digits), goal];
  const rows = (list, ...made) => (list.length > 0 ? made : []);
  printTable([
    ['', `median of ${runs}`, 'spread', 'goal'],
    row(`TTFT error p50, ms, ${kStreams} streams`, column(errors, 'median_ms'), 3,
        `≤ ${kErrorMaxMs}`),
    row('TTFT error p99, ms', column(errors, 'p99_ms'), 3, ''),
    row('TTFT bias (late is positive), ms', column(errors, 'bias_ms'), 3, ''),
    ...rows(
        peers,
        row("OpenAI's JavaScript client: TTFT error p50, ms", column(peers, 'median_ms'), 1, ''),
        row('TTFT error p99, ms', column(peers, 'p99_ms'), 1, '')),
    ...rows(
        crowded,
        row(`TTFT error p50, ms, ${kManyStreams} streams`, column(crowded, 'median_ms'), 3,
            `≤ ${kManyErrorMaxMs}`),
        row('TTFT error p99, ms', column(crowded, 'p99_ms'), 3, '')),
    ...rows(
        stamps,
        row(`stamp error p50, µs, ${kStampStreams} streams`, column(stamps, 'p50_us'), 1, ''),
        row('stamp error p99, µs', column(stamps, 'p99_us'), 1, `≤ ${kStampP99MaxUs}`),
        row('stamp error p99.9, µs', column(stamps, 'p999_us'), 1, `≤ ${kStampP999MaxUs}`),
        row('events/s meanwhile', column(stamps, 'events_per_s'), 0, ''),
        row('events per read', column(stamps, 'events_per_read'), 3, ''),
        row('events flagged (shared reads), %',
            column(stamps, 'flagged_share').map((share) => 100 * share), 2, '')),
    ...rows(
        held, row(`streams held by ${kHeldProcesses} processes`, column(held, 'held'), 0,
                  `≥ ${kHeldStreams}`),
        row('memory per stream, records included, bytes', column(held, 'bytes_per_stream'), 0, ''),
        row('of them answered', column(held, 'answered'), 0, '')),
  ]);
  console.log('');
  const goal = (list, key, name, digits, limit) =>
      list.length > 0 ? [{name, value: median(column(list, key)), digits, ...limit}] : [];
  conclude({
    name: 'crowds',
    goals: [
      ...goal(errors, 'median_ms', 'TTFT error p50 ms', 3, {most: kErrorMaxMs}),
      ...goal(crowded, 'median_ms', `at ${kManyStreams} streams`, 3, {most: kManyErrorMaxMs}),
      ...goal(stamps, 'p99_us', 'stamp error p99 µs', 1, {most: kStampP99MaxUs}),
      ...goal(stamps, 'p999_us', 'p99.9 µs', 1, {most: kStampP999MaxUs}),
      ...goal(held, 'held', 'streams held', 0, {least: kHeldStreams}),
    ],
    json: flags.json,
    raw: {environment: facts, errors, peers, crowded, stamps, held},
  });
}

await main();
