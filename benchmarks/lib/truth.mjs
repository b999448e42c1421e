// A load generator beside a source that knows the truth: starts both, and brings their two records of
// each request together. What `fidelity` and `crowds` share.

import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import {start, temporaryFolder} from './children.mjs';
import {kPenstock, tool} from './programs.mjs';
import {median} from './report.mjs';

export const kBenchCore = 0;
export const kSourceCore = 1;

export const readLines = (file) =>
    readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

// sse_source with these settings: what start() gives, and its port.
export async function startSource(settings) {
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const source = start(tool('sse_source'), words, {core: kSourceCore});
  const {port} = JSON.parse((await source.lines.next()).value);
  return {...source, port};
}

// `penstock bench` on one thread, with `more` flags.
export function startBench(source, records, {requests, warmup, tokens, streams, more = []}) {
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

export async function finish(bench) {
  const {code, signal} = await bench.ended;
  // 1: it ran, and calls its own run in doubt; the records are there all the same.
  if (code !== 0 && code !== 1)
    throw new Error(`penstock bench ended with ${signal ?? code}: ${bench.errors()}`);
}

export const penstockBench = async (source, records, settings) =>
    finish(startBench(source, records, settings));

// A share of values that need not be sorted.
export function quantile(values, fraction) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(fraction * (sorted.length - 1))];
}

// The request records, in the order of sending, each with the truth about it: that of the same
// x-request-id, or, for a client that sends none, of the n-th to arrive, as the n-th sent will be but
// for neighbours within microseconds.
export function matchTruth(records_file, truth_file) {
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

// The source's pace for people who read along, at 20 and at 5 tokens a second.
export const kPaced = {gap_us: 50000, first_token_ms: 50, first_token_max_ms: 550};
export const kSlow = {gap_us: 200000, first_token_ms: 50, first_token_max_ms: 5050};

// One run at such a pace: {median_ms, p99_ms, bias_ms} of the error in time to first token. `client`
// sends the load, and leaves a record per request.
export async function measureError(client, {streams, requests, tokens, pace}) {
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
    requests: errors.length,
  };
}
