// The two engines of benchmarks/engine, started with the same model, threads and context; and the
// loads on them.

import {existsSync} from 'node:fs';
import http from 'node:http';
import {join} from 'node:path';

import {run, start} from './children.mjs';
import {freePort, kPenstock, ready, tool} from './programs.mjs';

const kPeer = process.env.PENSTOCK_PEER_LLAMA;
const kSampling = '"temperature":0,"ignore_eos":true';

// What makes llama-server faster or slower on a processor.
const kServers = {
  'our kernels': join(kPeer, 'prebuilt/llama-server'),
  'own kernels': join(kPeer, 'build/bin/llama-server'),
};
const kCaches = {
  'KV per stream': '--no-kv-unified',
  'KV unified': '--kv-unified'
};
const kAttention = {
  'flash attention': 'on',
  'plain attention': 'off'
};

// All combinations of those that are there. `quick` leaves out the unified cache, which was slower
// wherever it was tried. `words` keep the combinations in whose names all of them stand.
export function llamaServerSettings(quick, words = []) {
  const all = [];
  for (const server of Object.keys(kServers).filter((name) => existsSync(kServers[name]))) {
    for (const cache of quick ? ['KV per stream'] : Object.keys(kCaches)) {
      for (const attention of Object.keys(kAttention)) all.push({server, cache, attention});
    }
  }
  const kept = all.filter((each) => words.every(
                              (word) => Object.values(each).some((name) => name.includes(word))));
  if (kept.length === 0) throw new Error(`--peer: no setting of llama-server has ${words}`);
  return kept;
}

// `setup`: {model, threads, streams, context, prefixes}. `prefixes` lets it reuse prompts.
export async function startLlamaServer(setup, {server, cache, attention}) {
  const port = await freePort();
  const words = [
    '--model',
    setup.model,
    '--port',
    port,
    '--threads',
    setup.threads,
    '--threads-batch',
    setup.threads,
    '--parallel',
    setup.streams,
    '--ctx-size',
    setup.streams * setup.context,
    kCaches[cache],
    '--flash-attn',
    kAttention[attention],
    '--no-slots',
    '--log-disable',
    ...(setup.prefixes ? [] : ['--no-cache-prompt', '--cache-ram', '0']),
  ];
  const program = start(kServers[server], words.map(String));
  await ready(program, port, '/health', {limit_ms: 60000});
  return {name: 'llama-server', port, stop: () => program.stop()};
}

export async function startEngine(setup, more = []) {
  const port = await freePort();
  const program = start(kPenstock, [
    'engine',
    `--model=${setup.model}`,
    `--listen=127.0.0.1:${port}`,
    `--threads=${setup.threads}`,
    `--parallel=${setup.streams}`,
    `--context-tokens=${setup.context}`,
    `--prefix-cache-mib=${setup.prefixes ? 1024 : 0}`,
    ...more,
  ]);
  await ready(program, port, '/health', {limit_ms: 60000});
  return {name: 'penstock', port, stop: () => program.stop()};
}

// `requests` completions of random prompts over `streams` connections. What sse_sink says.
export async function load(engine, {streams, requests, prompt, output, seed}) {
  const said = await run(tool('sse_sink'), [
    `port=${engine.port}`,
    `streams=${streams}`,
    `requests=${requests}`,
    `prompt_tokens=${prompt}`,
    `output_tokens=${output}`,
    `seed=${seed}`,
    `sampling=${kSampling}`,
    'limit_s=600',
  ]);
  const result = JSON.parse(said);
  if (result.output_tokens !== requests * output || result.prompt_tokens !== requests * prompt) {
    throw new Error(`${engine.name} did not do the work: ${said}`);
  }
  return result;
}

// What the engine's slots do, and its steps.
export async function slots(engine) {
  return (await fetch(`http://127.0.0.1:${engine.port}/slots`)).json();
}

const agent = new http.Agent({keepAlive: true});

function post(port, path, body) {
  return new Promise((done, failed) => {
    const text = JSON.stringify(body);
    const request = http.request(
        {
          host: '127.0.0.1',
          port,
          path,
          method: 'POST',
          agent,
          headers: {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)},
        },
        (response) => {
          let answer = '';
          response.on('data', (bytes) => {
            answer += bytes;
          });
          response.on('end', () => {
            if (response.statusCode === 200)
              done(JSON.parse(answer));
            else
              failed(new Error(`${response.statusCode}: ${answer}`));
          });
        });
    request.on('error', failed);
    request.end(text);
  });
}

// Token ids that depend on `seed` only, from the middle of the vocabulary.
function tokens(seed, count) {
  let state = seed * 2654435761 + 12345;
  return Array.from({length: count}, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 4000 + state % 12000;
  });
}

// Conversations side by side: each turn sends all that was said before, behind a system prompt that
// all share, and a new question. (Random ids stand for the answers, too: the noise that a synthetic
// model writes does not tokenise back to itself.)
export async function converse(engine, {conversations, turns, shared, question, output, seed}) {
  const began = performance.now();
  const totals = {prompt_tokens: 0, output_tokens: 0, cached_tokens: 0};
  const converseOne = async (conversation) => {
    const prompt = tokens(seed, shared);
    for (let turn = 0; turn < turns; ++turn) {
      prompt.push(...tokens(seed * 1000 + conversation * 50 + turn + 1, question));
      const answer = await post(engine.port, '/v1/completions', {
        prompt,
        max_tokens: output,
        temperature: 0,
        ignore_eos: true,
      });
      totals.prompt_tokens += answer.usage.prompt_tokens;
      totals.output_tokens += answer.usage.completion_tokens;
      totals.cached_tokens += answer.usage.prompt_tokens_details?.cached_tokens ?? 0;
    }
  };
  await Promise.all(Array.from({length: conversations}, (_, i) => converseOne(i)));
  const seconds = (performance.now() - began) / 1000;
  return {
    ...totals,
    seconds,
    total_tokens_per_s: (totals.prompt_tokens + totals.output_tokens) / seconds
  };
}
