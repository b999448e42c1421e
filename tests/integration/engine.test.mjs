// `penstock engine` alone: what it refuses before it serves, and what it tells of its work.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { kProgram, run, synthesise } from '../support/penstock.mjs';

// A running engine on a port of its own; ends with the test.
async function start(t, flags) {
  const child = spawn(kProgram, ['engine', '--listen', '127.0.0.1:0', ...flags]);
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  return new Promise((done, failed) => {
    child.on('exit', (code) => failed(new Error(`ended with ${code}: ${log}`)));
    child.stderr.on('data', (bytes) => {
      log += bytes;
      const found = /127\.0\.0\.1:([1-9]\d*)/.exec(log);
      if (found) done(`http://127.0.0.1:${found[1]}`);
    });
  });
}

const post = async (url, path, body) => (await fetch(url + path, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
})).json();

test('a context that memory cannot hold is refused before it serves, with the numbers', async () => {
  const refused = await run(['engine', '--listen', '127.0.0.1:0', '--parallel', '256',
    '--model', await synthesise('110m'), '--context-tokens', '8192'], { seconds: 20 });
  // 256 slots of 8,192 tokens of this model are more than 70 GiB of cells.
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /\d+ MiB[^]*\d+ MiB/);
  assert.match(refused.stderr, /sequences of 8192 tokens/);
});

test('a context beyond what the model was trained for is refused by name', async () => {
  const refused = await run(['engine', '--listen', '127.0.0.1:0', '--model', await synthesise('toy'),
    '--context-tokens', '100000000'], { seconds: 20 });
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /100000000/);
});

test('a layer for a GPU is refused where there is none, with what would help', async () => {
  const refused = await run(['engine', '--listen', '127.0.0.1:0', '--model', await synthesise('toy'),
    '--gpu-layers', '1'], { seconds: 20, env: { CUDA_VISIBLE_DEVICES: '' } });
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /setup-llama/);
});

test('slots, their page and the answer tell the same work', async (t) => {
  const url = await start(t, ['--model', await synthesise('toy'), '--parallel', '2', '--threads', '1',
    '--context-tokens', '512']);
  const body = { prompt: 'x'.repeat(100), max_tokens: 300, ignore_eos: true, stream: true, seed: 1 };
  const aborted = new AbortController();
  const running = await fetch(`${url}/v1/completions`, {
    method: 'POST', body: JSON.stringify(body), signal: aborted.signal,
  });
  const reader = running.body.getReader();
  await reader.read();  // It decodes now, or has done so.
  const slots = await (await fetch(`${url}/slots`)).json();
  assert.equal(slots.slots.length, 2);
  for (const key of ['slot', 'state', 'prompt_tokens', 'cached_tokens', 'cells', 'output_tokens', 'age_ms']) {
    assert.ok(key in slots.slots[0], key);
  }
  assert.ok(slots.step.outside_kernels_percent > 0 && slots.step.outside_kernels_percent < 100);
  const page = await fetch(`${url}/`);
  assert.match(page.headers.get('content-type'), /text\/html/);
  const html = await page.text();
  assert.match(html, /requests running/);
  assert.equal(html.match(/<tr/g).length, 3);
  aborted.abort();
  const answer = await post(url, '/v1/completions', { ...body, stream: false, max_tokens: 20 });
  assert.equal(answer.usage.completion_tokens, 20);
  assert.ok(answer.usage.prompt_tokens_details.cached_tokens <= answer.usage.prompt_tokens);
  for (const key of ['queue_ms', 'prefill_ms', 'decode_ms']) assert.ok(answer.penstock[key] >= 0, key);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /penstock_engine_\w+/);
});

test('the same seed alone on the engine gives the same text', async (t) => {
  const url = await start(t, ['--model', await synthesise('toy'), '--parallel', '1', '--threads', '1',
    '--prefix-cache-mib', '0']);
  const body = { prompt: 'once', max_tokens: 40, seed: 11, temperature: 1.5 };
  const texts = [];
  for (let i = 0; i < 3; ++i) texts.push((await post(url, '/v1/completions', body)).choices[0].text);
  assert.equal(new Set(texts).size, 1);
  const other = await post(url, '/v1/completions', { ...body, seed: 12 });
  assert.notEqual(other.choices[0].text, texts[0]);
});

test('tokens of a text, and of a chat as its template writes it, come back as text', async (t) => {
  const url = await start(t, ['--model', await synthesise('15m'), '--context-tokens', '512']);
  const text = 'A penstock: é, 水, 🚰.';
  const plain = await post(url, '/tokenize', { prompt: text, add_special_tokens: false });
  assert.ok(plain.tokens.length > 5, JSON.stringify(plain));
  assert.equal(plain.count, plain.tokens.length);
  assert.equal((await post(url, '/detokenize', { tokens: plain.tokens })).prompt, text);
  const chat = await post(url, '/tokenize', { messages: [{ role: 'user', content: text }] });
  assert.ok(chat.count > plain.count);
  assert.match((await post(url, '/detokenize', { tokens: chat.tokens })).prompt, /A penstock: é, 水, 🚰\./);
  for (const [path, body, field] of [
    ['/tokenize', {}, 'prompt'], ['/tokenize', { prompt: 'a', messages: [] }, 'prompt'],
    ['/detokenize', {}, 'tokens'], ['/detokenize', { tokens: [1_000_000_000] }, 'tokens']]) {
    const refused = await post(url, path, body);
    assert.match(refused.error.message, new RegExp(field), `${path} ${JSON.stringify(body)}`);
  }
});

test('an echo repeats the prompt, whatever its form, before what is generated', async (t) => {
  const url = await start(t, ['--model', await synthesise('15m'), '--context-tokens', '512']);
  const ask = (prompt, more = {}) => post(url, '/v1/completions',
    { prompt, max_tokens: 6, ignore_eos: true, temperature: 0, ...more });
  const without = (await ask('One gate')).choices[0].text;
  assert.equal((await ask('One gate', { echo: true })).choices[0].text, `One gate${without}`);
  const { tokens } = await post(url, '/tokenize', { prompt: 'One gate', add_special_tokens: false });
  const echoed = await ask(tokens, { echo: true });
  assert.match(echoed.choices[0].text, /^ ?One gate./);
  assert.equal(echoed.usage.completion_tokens, 6);
  const several = await ask(['One gate', 'Two'], { echo: true, n: 2, logprobs: 1 });
  assert.deepEqual(several.choices.map(({ text }) => /^(One gate|Two)/.exec(text)?.[1]),
    ['One gate', 'One gate', 'Two', 'Two']);
  for (const { logprobs } of several.choices) assert.equal(logprobs.tokens.length, 6);
  const stream = await fetch(`${url}/v1/completions`, { method: 'POST', body: JSON.stringify(
    { prompt: 'One gate', max_tokens: 6, ignore_eos: true, temperature: 0, echo: true, stream: true }) });
  const texts = [...(await stream.text()).matchAll(/^data: (\{.*)$/gm)]
    .flatMap(([, event]) => JSON.parse(event).choices.map(({ text }) => text));
  assert.equal(texts.join(''), `One gate${without}`);
});
