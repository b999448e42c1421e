// Bad requests and the ends of streams, through the gateway to a real engine.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Server, synthesise, until } from '../support/penstock.mjs';
import { stream } from '../support/stream.mjs';

const kChat = '/v1/chat/completions';
// Long enough that a test can act while it streams.
const kLong = { max_tokens: 3000, ignore_eos: true };
let server;
const afters = [];

before(async () => {
  server = await Server.start({ after: (end) => afters.push(end) });
  await server.serveModel('toy', await synthesise('toy'));
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

const messages = [{ role: 'user', content: 'Hello' }];
const running = () => server.metric('penstock_requests_running', { endpoint: 'toy' });

const kRefused = [
  ['malformed JSON', '{"model": "toy", "messages": [', 400, /JSON/i],
  ['not an object', '[1]', 400, /object/],
  ['an empty body', '', 400, /./],
  ['a second document', '{"model":"toy","messages":[]}{}', 400, /./],
  ['no model', { messages }, 400, /model/],
  ['a model that is no text', { model: 7, messages }, 400, /model/],
  ['an unknown model', { model: 'nobody', messages }, 404, /nobody/],
  ['messages of the wrong type', { model: 'toy', messages: 'Hello' }, 400, /messages/],
  ['no messages', { model: 'toy', messages: [] }, 400, /messages/],
  ['an unknown role', { model: 'toy', messages: [{ role: 'king', content: 'x' }] }, 400, /role.*king/],
  ['a temperature out of range', { model: 'toy', messages, temperature: 3 }, 400, /temperature.*2.*3/],
  ['a temperature as text', { model: 'toy', messages, temperature: 'hot' }, 400, /temperature/],
  ['max_tokens of 0', { model: 'toy', messages, max_tokens: 0 }, 400, /max_tokens.*1.*0/],
  ['too many stops', { model: 'toy', messages, stop: ['a', 'b', 'c', 'd', 'e'] }, 400, /stop.*4.*5/],
  ['stream as text', { model: 'toy', messages, stream: 'yes' }, 400, /stream/],
  ['tools', { model: 'toy', messages, tools: [{ type: 'function', function: { name: 'f' } }] }, 400, /tools/],
];
for (const [what, body, status, words] of kRefused) {
  test(`refused: ${what}`, async () => {
    const answer = await server.call('POST', kChat, body, { headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.json.error.message, words);
    assert.equal(typeof answer.json.error.type, 'string');
    assert.ok('param' in answer.json.error && 'code' in answer.json.error, answer.text);
  });
}

test('refused: UTF-8 that is invalid, wherever it stands', async () => {
  for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
    const body = Buffer.concat([
      Buffer.from('{"model":"toy","messages":[{"role":"user","content":"'), Buffer.from(bad),
      Buffer.from('"}]}'),
    ]);
    const answer = await server.call('POST', kChat, body, { headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.json.error.message, /UTF-8/i);
  }
});

test('refused: nesting without end', async () => {
  const body = `{"model":"toy","messages":${'['.repeat(100_000)}`;
  assert.equal((await server.call('POST', kChat, body)).status, 400);
});

test('a prompt beyond the context is refused, naming prompt and limit', async () => {
  const answer = await server.call('POST', '/v1/completions',
      { model: 'toy', prompt: Array(100_000).fill(5), max_tokens: 1 });
  assert.equal(answer.status, 400);
  assert.equal(answer.json.error.code, 'context_length_exceeded');
  assert.match(answer.json.error.message, /100000/);
  assert.match(answer.json.error.message, /\b4096\b|\b2048\b|\b1024\b|\b512\b/);
});

test('a wrong method names the right one; an unknown path is 404', async () => {
  const wrong = await server.call('GET', kChat);
  assert.equal(wrong.status, 405);
  assert.match(wrong.json.error.message, /POST/);
  assert.equal((await server.call('POST', '/v1/nothing', {})).status, 404);
});

test('invocations take the same requests by the endpoint\'s path', async () => {
  const answer = await server.call('POST', '/serving-endpoints/toy/invocations', { messages, max_tokens: 3 });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json.usage.completion_tokens <= 3, true);
});

test('a client that leaves its stream frees the engine\'s slot', async () => {
  const before = await server.metric('penstock_requests_total', { endpoint: 'toy', end: 'disconnected' });
  const one = await stream(server, 'toy', kLong);
  assert.ok(await one.next());
  assert.equal(await running(), 1);
  one.abort();
  await until('nothing runs', async () => (await running()) === 0);
  const count = await server.metric('penstock_requests_total', { endpoint: 'toy', end: 'disconnected' });
  assert.equal(count, before + 1);
});

test('a stream ends with [DONE], and its usage counts what was streamed', async () => {
  const one = await stream(server, 'toy', { max_tokens: 20, ignore_eos: true, stream_options: { include_usage: true } });
  const events = await one.rest();
  assert.equal(events.at(-1), '[DONE]');
  assert.equal(JSON.parse(events.at(-2)).usage.completion_tokens, 20);
});

test('SIGTERM lets a running stream end, and nothing new begin', async (t) => {
  const own = await Server.start(t);
  await own.serveModel('toy', await synthesise('toy'));
  const one = await stream(own, 'toy', { max_tokens: 400, ignore_eos: true });
  assert.ok(await one.next());
  const ended = own.stop();
  const events = await one.rest();
  assert.equal(events.at(-1), '[DONE]');
  assert.deepEqual(await ended, { code: 0, signal: null });
  await assert.rejects(own.call('GET', '/-/healthy'));
});

test('a second SIGTERM ends the drain at once, with code 3', async (t) => {
  const own = await Server.start(t);
  await own.serveModel('toy', await synthesise('toy'));
  const one = await stream(own, 'toy', kLong);
  assert.ok(await one.next());
  const ended = own.stop();
  await until('it drains', () => own.log.includes('draining'));
  own.stop();
  assert.deepEqual(await ended, { code: 3, signal: null });
  await one.rest().catch(() => {});
});
