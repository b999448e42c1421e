// benchmarks/engine: output tokens per second of two engines on the same kernels, model, threads
// and load.

import {existsSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';

import {limitTime, run, start, temporaryFolder} from './children.mjs';
import {freePort, kPenstock, ready, tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

const kStreams = 8;
const kPromptTokens = 256;
const kOutputTokens = 64;
const kContext = 512;  // Tokens of each stream.
const kLeast = 1.0;
const kSampling = '"temperature":0,"ignore_eos":true';

const kPeer = process.env.PENSTOCK_PEER_LLAMA;
// What makes llama-server faster or slower on a processor; all combinations are tried.
const kServers = {
  'own kernels': join(kPeer, 'build/bin/llama-server'),
  'our kernels': join(kPeer, 'prebuilt/llama-server')
};
const kCaches = {
  'KV per stream': '--no-kv-unified',
  'KV unified': '--kv-unified'
};
const kAttention = {
  'flash attention': 'on',
  'plain attention': 'off'
};

async function startLlamaServer(model, threads, {server, cache, attention}) {
  const port = await freePort();
  const program = start(kServers[server], [
    '--model',           model,           '--port',
    String(port),        '--threads',     String(threads),
    '--threads-batch',   String(threads), '--parallel',
    String(kStreams),    '--ctx-size',    String(kStreams * kContext),
    kCaches[cache],      '--flash-attn',  kAttention[attention],
    '--no-cache-prompt', '--cache-ram',   '0',
    '--no-slots',        '--log-disable',
  ]);
  await ready(program, port, '/health');
  return {name: 'llama-server', port, stop: () => program.stop()};
}

async function startEngine(model, threads) {
  const port = await freePort();
  const program = start(kPenstock, [
    'engine',
    `--model=${model}`,
    `--listen=127.0.0.1:${port}`,
    `--threads=${threads}`,
    `--parallel=${kStreams}`,
    `--context-tokens=${kContext}`,
  ]);
  await ready(program, port, '/health');
  return {name: 'penstock', port, stop: () => program.stop()};
}

// One run: `requests` completions over kStreams connections.
async function load(engine, requests, seed) {
  const output = await run(tool('sse_sink'), [
    `port=${engine.port}`,
    `streams=${kStreams}`,
    `requests=${requests}`,
    `prompt_tokens=${kPromptTokens}`,
    `output_tokens=${kOutputTokens}`,
    `seed=${seed}`,
    `sampling=${kSampling}`,
  ]);
  const result = JSON.parse(output);
  if (result.output_tokens !== requests * kOutputTokens ||
      result.prompt_tokens !== requests * kPromptTokens) {
    throw new Error(`${engine.name} did not do the work: ${output}`);
  }
  return result;
}

// The fastest of llama-server's settings: {settings, output_tokens_per_s} of each, best first.
async function tuneLlamaServer(model, threads, requests) {
  const tried = [];
  for (const server of Object.keys(kServers)) {
    for (const cache of Object.keys(kCaches)) {
      for (const attention of Object.keys(kAttention)) {
        const settings = {server, cache, attention};
        const peer = await startLlamaServer(model, threads, settings);
        await load(peer, kStreams, 1);
        const {output_tokens_per_s} = await load(peer, requests, 2);
        await peer.stop();
        tried.push({settings, output_tokens_per_s});
      }
    }
  }
  return tried.sort((a, b) => b.output_tokens_per_s - a.output_tokens_per_s);
}

// The model to load: the one given, or a synthetic one.
async function findModel(given) {
  if (given) {
    if (!existsSync(given)) throw new Error(`--model: there is no file ${given}`);
    return given;
  }
  const model = join(temporaryFolder(), 'synthetic-15m.gguf');
  await run(kPenstock, ['model', 'synth', '--size=15m', `--output=${model}`]);
  return model;
}

function printResults(runs, tuned) {
  const column = (name, key) => runs.map((each) => each[name][key]);
  const row = (title, key, digits) => {
    const [theirs, ours] = [column('llama-server', key), column('penstock', key)];
    return [
      title,
      figure(median(theirs), digits),
      spread(theirs, digits),
      figure(median(ours), digits),
      spread(ours, digits),
    ];
  };
  console.log(`llama-server's best settings: ${Object.values(tuned[0].settings).join(', ')}`);
  printTable([
    ['medians', 'llama-server', 'spread', 'penstock', 'spread'],
    row('output tokens/s', 'output_tokens_per_s', 0),
    row('first token p50, ms', 'first_token_p50_ms', 1),
    row('first token p99, ms', 'first_token_p99_ms', 1),
    row('gap p99, ms', 'gap_p99_ms', 1),
    row('gap max, ms', 'gap_max_ms', 1),
  ]);
  console.log('');
}

async function main() {
  const flags =
      readFlags({pairs: {type: 'string'}, model: {type: 'string'}, threads: {type: 'string'}});
  const pairs = Number(flags.pairs ?? (flags.quick ? 3 : 7));
  const threads = Number(flags.threads ?? availableParallelism());
  const requests = kStreams * (flags.quick ? 6 : 20);
  limitTime(600 + pairs * 120);
  const facts = environment();
  printEnvironment(facts);

  const model = await findModel(flags.model);
  const tuned = await tuneLlamaServer(model, threads, kStreams * (flags.quick ? 3 : 10));
  const engines = [
    await startLlamaServer(model, threads, tuned[0].settings), await startEngine(model, threads)
  ];
  for (const engine of engines) await load(engine, kStreams, 3);
  const runs = [];
  for (let i = 0; i < pairs; ++i) {
    const results = {};
    for (const engine of i % 2 === 0 ? engines : [...engines].reverse()) {
      results[engine.name] = await load(engine, requests, 10 + i);
    }
    runs.push(results);
  }
  for (const engine of engines) await engine.stop();

  printResults(runs, tuned);
  const ratios = runs.map(
      (each) => each.penstock.output_tokens_per_s / each['llama-server'].output_tokens_per_s);
  console.log(
      `penstock ÷ llama-server, pair by pair: ${ratios.map((ratio) => figure(ratio)).join(', ')}`);
  conclude({
    name: 'engine',
    goals:
        [{name: 'output tokens/s, penstock ÷ llama-server', value: median(ratios), least: kLeast}],
    json: flags.json,
    raw: {environment: facts, threads, tuned, runs},
  });
}

await main();
