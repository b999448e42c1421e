// benchmarks/crowds: a load generator's stamps against the truth where many streams run at once, and
// how many several processes hold.

import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

import {limitTime, start, temporaryFolder} from './children.mjs';
import {residentBytes} from './processes.mjs';
import {freePort} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';
import {finish, kBenchCore, kPaced, kSlow, matchTruth, measureError, penstockBench, quantile, readLines, startBench, startSource} from './truth.mjs';

const kStreams = 1000;
const kManyStreams = 5000;  // At 5 tokens a second each.
const kStampStreams = 10000;
const kStampGapUs = 166667;  // 60,000 events a second.
const kHeldStreams = 50000;
const kHeldProcesses = 4;
const kSourceAddresses = 16;  // 28,000 ports each.
const kErrorMaxMs = 0.2;
const kManyErrorMaxMs = 1;
const kStampP99MaxUs = 10;
const kStampP999MaxUs = 50;
const kBytesPerStreamMax = 2048;
const kModes = ['few', 'peer', 'many', 'stamps', 'held'];
const kModeSecondsMax = 120;  // Of one run of one mode.

const kOpenAiPeer = new URL('../peers/openai-client.mjs', import.meta.url).pathname;

const childrenOf = (pid) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(
        Number);

const descriptorsOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;

// OpenAI's own client for JavaScript, one process: the peer that runs here.
async function openaiClient(source, records, settings) {
  const words = Object.entries({port: source.port, records, ...settings})
                    .map(([name, value]) => `${name}=${value}`);
  const client = start(process.execPath, [kOpenAiPeer, ...words], {core: kBenchCore});
  const {code, signal} = await client.ended;
  if (code !== 0) throw new Error(`the peer ended with ${signal ?? code}: ${client.errors()}`);
}

// The error of each event's stamp, in microseconds: {p50_us, p99_us, p999_us, all_p99_us, …}. The
// truth is the moment just before the source's write. Over loopback the write itself carries the event
// into the receiver's kernel: so what lies beyond the write's return is no doubt the stamp's
// (outside_*_us), and how long writes took is told beside it.
//
// A read has one stamp, that of the last bytes in it: of events that share a read, all but the last are
// stamped late. Such are flagged (in the records a gap of 0; a last token that was read together with
// the stream's end shows by the number of reads), told by their share, and stand in all_p99_us.
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
  await penstockBench(
      source, records, {requests: kStampStreams, warmup: 0, tokens, streams: kStampStreams});
  await source.stop();
  const matched = matchTruth(records, truth).filter((record) => record.phase === 'measured');
  // Both clocks are the machine's monotonic one; the records count from the run's start.
  const base = readLines(records)[0].start_ns;
  const [all, errors, outside, took] = [[], [], [], []];
  let [events, reads, flagged, first, last] = [0, 0, 0, Infinity, 0];
  for (const record of matched) {
    let at = record.first_token_ns;
    // The opening event and each token have a read of their own: is there one left for the end?
    const end_shared = record.reads <= record.chunks + 1 - record.shared_reads;
    record.truth.written_ns.forEach((written, index) => {
      if (index > 0) at += record.gaps_ns[index - 1];
      // Of those that came out of one read, the last is stamped by its own bytes.
      const final = index === record.chunks - 1;
      const shared = final ? end_shared : record.gaps_ns[index] === 0;
      if (shared) ++flagged;
      const late = at + base - written;
      const write = record.truth.returned_ns[index] - written;
      all.push(Math.abs(late) / 1000);
      if (!shared) errors.push(Math.abs(late) / 1000);
      if (!shared) outside.push(Math.max(-late, late - write, 0) / 1000);
      took.push(write / 1000);
      first = Math.min(first, written);
      last = Math.max(last, written);
    });
    events += record.chunks;
    reads += record.reads;
  }
  const [p50_us, p99_us, p999_us] =
      [0.5, 0.99, 0.999].map((fraction) => quantile(errors, fraction));
  return {
    p50_us,
    p99_us,
    p999_us,
    all_p99_us: quantile(all, 0.99),
    outside_p99_us: quantile(outside, 0.99),
    outside_p999_us: quantile(outside, 0.999),
    write_p99_us: quantile(took, 0.99),
    write_p999_us: quantile(took, 0.999),
    events_per_s: (1e9 * events) / (last - first),
    events_per_read: events / reads,
    flagged_percent: (100 * flagged) / events,
  };
}

// How many streams several processes of ours hold at once, and the memory that each costs beyond what
// the processes had before the first one. Before first tokens come, so that no gap is recorded yet.
async function measureHeld({streams, tokens}) {
  const folder = temporaryFolder();
  const records = join(folder, 'records.jsonl');
  const port = await freePort();
  const settings = {gap_us: 1000000, first_token_ms: 8000, first_token_max_ms: 12000, port};
  const sources = [];
  for (let i = 0; i < kHeldProcesses; ++i) sources.push(await startSource(settings));
  const bench = startBench(sources[0], records, {
    requests: streams,
    warmup: 0,
    tokens,
    streams,
    more: [`--processes=${kHeldProcesses}`, `--source-addresses=${kSourceAddresses}`],
  });
  let [held, bytes] = [0, 0];
  let before;  // {open, resident} of the processes while they are idle.
  let ended = false;
  bench.ended.then(() => {
    ended = true;
  });
  while (!ended) {
    try {
      const agents = childrenOf(bench.pid);
      const open = agents.reduce((sum, pid) => sum + descriptorsOf(pid), 0);
      const resident = residentBytes(agents);
      // An idle one holds its listener, its pipes, and a connection or two, which the load uses, too.
      if (agents.length === kHeldProcesses && open < 30 * kHeldProcesses && held === 0)
        before = {open: Math.min(before?.open ?? open, open), resident};
      else if (before && open - before.open > held)
        [held, bytes] = [open - before.open, resident - before.resident];
    } catch {
      // One of them has ended meanwhile.
    }
    await pause(300);
  }
  await finish(bench);
  for (const source of sources) await source.stop();
  const requests = readLines(records).filter((line) => line.kind === 'request');
  const failed = {};
  for (const {error} of requests) if (error) failed[error] = (failed[error] ?? 0) + 1;
  return {
    held,
    bytes_per_stream: bytes / held,
    answered: requests.filter((line) => !line.error && line.phase !== 'fit').length,
    failed,
  };
}

const kMeasure = {
  few: (quick) => measureError(penstockBench, {
    streams: kStreams,
    requests: quick ? 1000 : 2000,
    tokens: quick ? 20 : 60,
    pace: kPaced,
  }),
  peer: () => measureError(
      openaiClient, {streams: kStreams, requests: 2000, tokens: 60, pace: kPaced}),
  many: () => measureError(
      penstockBench,
      {streams: kManyStreams, requests: kManyStreams, tokens: 20, pace: kSlow}),
  stamps: (quick) => measureStamps({tokens: quick ? 30 : 60}),
  held: () => measureHeld({streams: kHeldStreams, tokens: 10}),
};

// For each mode its rows of the table: [name, key, digits, goal's text, goal's limit].
const kFigures = {
  few: [
    [`TTFT error p50, ms, ${kStreams} streams`, 'median_ms', 3, {most: kErrorMaxMs}],
    ['TTFT error p99, ms', 'p99_ms', 3],
    ['TTFT bias (late is positive), ms', 'bias_ms', 3],
  ],
  peer: [
    ["OpenAI's JavaScript client: TTFT error p50, ms", 'median_ms', 1],
    ['TTFT error p99, ms', 'p99_ms', 1],
  ],
  many: [
    [`TTFT error p50, ms, ${kManyStreams} streams`, 'median_ms', 3, {most: kManyErrorMaxMs}],
    ['TTFT error p99, ms', 'p99_ms', 3],
  ],
  stamps: [
    [`stamp error p50, µs, ${kStampStreams} streams`, 'p50_us', 1],
    ['stamp error p99, µs', 'p99_us', 1, {most: kStampP99MaxUs}],
    ['stamp error p99.9, µs', 'p999_us', 1, {most: kStampP999MaxUs}],
    ['… events of shared reads among them, p99, µs', 'all_p99_us', 1],
    ["the source's own write, p99, µs", 'write_p99_us', 1],
    ["the source's own write, p99.9, µs", 'write_p999_us', 1],
    ['stamps outside of the write by, p99, µs', 'outside_p99_us', 1],
    ['stamps outside of the write by, p99.9, µs', 'outside_p999_us', 1],
    ['events/s meanwhile', 'events_per_s', 0],
    ['events per read', 'events_per_read', 3],
    ['events flagged (shared reads), %', 'flagged_percent', 2],
  ],
  held: [
    [`streams held by ${kHeldProcesses} processes`, 'held', 0, {least: kHeldStreams}],
    ['memory per stream, its record included, bytes', 'bytes_per_stream', 0,
     {most: kBytesPerStreamMax}],
    ['of them answered', 'answered', 0, {least: kHeldStreams}],
  ],
};

const boundText = (limit) => !limit ? '' :
    limit.most !== undefined        ? `≤ ${limit.most}` :
                                      `≥ ${limit.least}`;

async function main() {
  const flags = readFlags({runs: {type: 'string'}, only: {type: 'string'}});
  const runs = Number(flags.runs ?? (flags.quick ? 1 : 3));
  const modes = flags.only?.split(',') ?? (flags.quick ? ['few', 'stamps'] : kModes);
  const unknown = modes.find((mode) => !kModes.includes(mode));
  if (unknown !== undefined || !(runs >= 1)) {
    console.error(`--only takes ${kModes.join(', ')}; --runs at least 1`);
    process.exit(2);
  }
  limitTime(modes.length * runs * kModeSecondsMax);
  const facts = environment();
  printEnvironment(facts);
  const measured = Object.fromEntries(modes.map((mode) => [mode, []]));
  for (let run = 0; run < runs; ++run) {
    for (const mode of modes) {
      const begun = performance.now();
      measured[mode].push(await kMeasure[mode](flags.quick));
      console.error(`${mode}, run ${run + 1} of ${runs}: ${
          ((performance.now() - begun) / 1000).toFixed(0)} s`);
    }
  }
  const rows = [];
  const goals = [];
  for (const mode of modes) {
    for (const [name, key, digits, limit] of kFigures[mode]) {
      const values = measured[mode].map((each) => each[key]);
      rows.push([name, figure(median(values), digits), spread(values, digits), boundText(limit)]);
      if (limit) goals.push({name, value: median(values), digits, ...limit});
    }
  }
  printTable([['', `median of ${runs}`, 'spread', 'goal'], ...rows]);
  console.log('');
  conclude({name: 'crowds', goals, json: flags.json, raw: {environment: facts, ...measured}});
}

await main();
