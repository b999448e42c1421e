// The parts of benchmarks/engine: throughput, interference, conversations.

import {
  converse, llamaServerSettings, load, slots, startEngine, startLlamaServer,
} from './engine_programs.mjs';
import {figure, median, printTable} from './report.mjs';

export function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

// The best of llama-server's settings for a load: `measure` gives a figure, more is better.
async function bestSettings(setup, {quick, peer: words}, measure) {
  const all = llamaServerSettings(quick, words);
  if (all.length === 1) return all[0];
  let best;
  for (const settings of all) {
    const peer = await startLlamaServer(setup, settings);
    const value = await measure(peer);
    await peer.stop();
    if (!best || value > best.value) best = {settings, value};
  }
  return best.settings;
}

// Runs `measure` on both engines in turn, `pairs` times, the order swapped from pair to pair.
async function paired(setup, settings, pairs, measure, more = []) {
  const engines = [await startLlamaServer(setup, settings), await startEngine(setup, more)];
  const runs = [];
  try {
    for (let i = 0; i < pairs; ++i) {
      const results = {};
      for (const engine of i % 2 === 0 ? engines : [...engines].reverse()) {
        results[engine.name] = await measure(engine, 10 + i);
      }
      runs.push(results);
    }
  } finally {
    for (const engine of engines) await engine.stop();
  }
  return runs;
}

const column = (runs, name, key) => median(runs.map((each) => each[name][key]));
const ratioOf = (runs, key) =>
    median(runs.map((each) => each.penstock[key] / each['llama-server'][key]));

// Output tokens per second for each case of {name, model, prompt, output, streams, rounds}.
export async function throughput(cases, options) {
  const {threads, pairs} = options;
  const rows = [[
    'output tokens/s', 'streams', 'llama-server', 'penstock', 'ratio', 'gap max, ms', '', 'its best'
  ]];
  const results = [];
  for (const each of cases) {
    const {streams, prompt, output} = each;
    const context = Math.ceil((prompt + output + 1) / 256) * 256;
    const setup = {model: each.model, threads, streams, context};
    const measure = (engine, seed, rounds = each.rounds) =>
        load(engine, {streams, requests: streams * rounds, prompt, output, seed});
    const settings = await bestSettings(
        setup, options, async (peer) => (await measure(peer, 1, 1)).output_tokens_per_s);
    const runs = await paired(setup, settings, pairs, measure);
    const ratio = ratioOf(runs, 'output_tokens_per_s');
    results.push({...each, settings, runs, ratio});
    rows.push([
      `${each.name} ${prompt}/${output}`,
      String(streams),
      figure(column(runs, 'llama-server', 'output_tokens_per_s'), 0),
      figure(column(runs, 'penstock', 'output_tokens_per_s'), 0),
      figure(ratio),
      figure(column(runs, 'llama-server', 'gap_max_ms'), 0),
      figure(column(runs, 'penstock', 'gap_max_ms'), 0),
      `${settings.attention}, ${settings.cache}, ${settings.server}`,
    ]);
  }
  printTable(rows);
  console.log('');
  return results;
}

// Prompts of 2,048 tokens that arrive beside running streams, and beside short requests.
export async function interference(model, options) {
  const {threads, pairs} = options;
  const setup = {model, threads, streams: 6, context: 2560};
  const measure = async (engine, seed) => {
    const streams = load(engine, {streams: 3, requests: 3, prompt: 64, output: 384, seed});
    const arriving =
        load(engine, {streams: 1, requests: 3, prompt: 2048, output: 8, seed: seed + 50});
    const [running] = await Promise.all([streams, arriving]);
    const long =
        load(engine, {streams: 2, requests: 4, prompt: 2048, output: 32, seed: seed + 100});
    const short =
        load(engine, {streams: 1, requests: 12, prompt: 128, output: 8, seed: seed + 150});
    const [, quickly] = await Promise.all([long, short]);
    return {gap_max_ms: running.gap_max_ms, short_first_token_p99_ms: quickly.first_token_p99_ms};
  };
  const settings = await bestSettings(
      setup, options,
      async (peer) =>
          (await load(peer, {streams: 4, requests: 4, prompt: 2048, output: 64, seed: 1}))
              .output_tokens_per_s);
  const runs = await paired(setup, settings, pairs, measure);
  const row = (title, key) =>
      [title,
       figure(column(runs, 'llama-server', key), 0),
       figure(column(runs, 'penstock', key), 0),
       figure(ratioOf(runs, key)),
  ];
  printTable([
    ['beside prompts of 2,048 tokens, ms', 'llama-server', 'penstock', 'ratio'],
    row('longest gap between tokens of streams', 'gap_max_ms'),
    row('first token p99 of short requests', 'short_first_token_p99_ms'),
  ]);
  console.log('');
  return {
    runs,
    settings,
    gap: ratioOf(runs, 'gap_max_ms'),
    first_token: ratioOf(runs, 'short_first_token_p99_ms'),
  };
}

// Conversations with a shared system prompt: prefixes reused, against not, and against llama-server
// with its own cache.
export async function conversations(model, options) {
  const {threads, pairs, turns} = options;
  const shape = {
    conversations: 10,
    turns,
    shared: 1500,
    question: 40,
    output: 24,
  };
  const setup = {model, threads, streams: 8, context: 2560, prefixes: true};
  const measure = (engine, seed) => converse(engine, {...shape, seed});
  const settings = await bestSettings(
      setup, options,
      async (peer) => (await converse(peer, {...shape, turns: 2, seed: 1})).total_tokens_per_s);
  const runs = await paired(setup, settings, pairs, measure);
  const without = await startEngine({...setup, prefixes: false});
  const plain = await measure(without, 10);
  await without.stop();
  const ours = column(runs, 'penstock', 'total_tokens_per_s');
  printTable([
    [
      `${shape.conversations} conversations, ${shape.turns} turns`,
      'total tokens/s',
      'tokens reused',
    ],
    [
      'llama-server',
      figure(column(runs, 'llama-server', 'total_tokens_per_s'), 0),
      figure(column(runs, 'llama-server', 'cached_tokens'), 0),
    ],
    ['penstock', figure(ours, 0), figure(column(runs, 'penstock', 'cached_tokens'), 0)],
    [
      'penstock, nothing reused', figure(plain.total_tokens_per_s, 0),
      figure(plain.cached_tokens, 0)
    ],
  ]);
  console.log('');
  return {
    runs,
    plain,
    settings,
    against_peer: ratioOf(runs, 'total_tokens_per_s'),
    against_none: ours / plain.total_tokens_per_s,
  };
}

// What share of a step's time is not llama.cpp's, with eight streams.
export async function ownCode(model, {threads}) {
  const setup = {model, threads, streams: 8, context: 512};
  const engine = await startEngine(setup);
  try {
    await load(engine, {streams: 8, requests: 16, prompt: 256, output: 64, seed: 1});
    const {step} = await slots(engine);
    printTable([
      ['8 streams, 256/64', 'mean step, ms', 'outside the kernels, %'],
      ['penstock', figure(step.mean_ms), figure(step.outside_kernels_percent)],
    ]);
    console.log('');
    return step;
  } finally {
    await engine.stop();
  }
}
