// Penstock as OpenAI's own client for Node sees it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import OpenAI, {
  AuthenticationError, BadRequestError, InternalServerError, NotFoundError,
} from 'openai';

import { Server, synthesise, until } from '../support/penstock.mjs';

const messages = [{ role: 'user', content: 'What is a penstock?' }];
let server;
let client;
const afters = [];

const clientOf = (which, options = {}) =>
  new OpenAI({ baseURL: `${which.url}/v1`, apiKey: which.adminKey, maxRetries: 0, ...options });

before(async () => {
  server = await Server.start({ after: (end) => afters.push(end) });
  await server.serveModel('toy', await synthesise('toy'));
  await server.serveModel('embed', await synthesise('bge-small'));
  client = clientOf(server);
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

test('chat', async () => {
  const reply = await client.chat.completions.create({ model: 'toy', messages, max_tokens: 8 });
  assert.equal(reply.object, 'chat.completion');
  assert.equal(reply.model, 'toy');
  assert.equal(reply.choices.length, 1);
  assert.equal(reply.choices[0].message.role, 'assistant');
  assert.equal(typeof reply.choices[0].message.content, 'string');
  assert.ok(['stop', 'length'].includes(reply.choices[0].finish_reason));
  assert.ok(reply.usage.prompt_tokens > 0);
  assert.ok(reply.usage.completion_tokens >= 1 && reply.usage.completion_tokens <= 8);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

test('the same seed at temperature 0 gives the same text, streamed and whole', async () => {
  const options = { model: 'toy', messages, max_tokens: 12, temperature: 0, seed: 7 };
  const whole = await client.chat.completions.create(options);
  let text = '';
  let finish;
  for await (const chunk of await client.chat.completions.create({ ...options, stream: true })) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    assert.equal(chunk.usage ?? null, null, 'nobody asked for usage');
    text += chunk.choices[0]?.delta.content ?? '';
    finish ??= chunk.choices[0]?.finish_reason ?? undefined;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, whole.choices[0].finish_reason);
});

test('log probabilities, whole and streamed', async () => {
  const options = { model: 'toy', messages, max_tokens: 6, logprobs: true, top_logprobs: 3 };
  const reply = await client.chat.completions.create(options);
  const { content } = reply.choices[0].logprobs;
  assert.equal(content.length, reply.usage.completion_tokens);
  for (const token of content) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 3);
    const tops = token.top_logprobs.map(({ logprob }) => logprob);
    assert.deepEqual(tops, tops.toSorted((a, b) => b - a));
    assert.ok(tops.reduce((sum, logprob) => sum + Math.exp(logprob), 0) <= 1.001);
  }
  let streamed = 0;
  for await (const chunk of await client.chat.completions.create({ ...options, stream: true })) {
    streamed += chunk.choices[0]?.logprobs?.content.length ?? 0;
  }
  assert.ok(streamed >= 1 && streamed <= 6);
  const text = await client.completions.create(
    { model: 'toy', prompt: 'Hello', max_tokens: 4, logprobs: 2 });
  const { tokens, token_logprobs, top_logprobs, text_offset } = text.choices[0].logprobs;
  assert.equal(tokens.length, text.usage.completion_tokens);
  for (const list of [token_logprobs, top_logprobs, text_offset]) {
    assert.equal(list.length, tokens.length);
  }
});

test('best_of gives the likeliest of those that were generated', async () => {
  const options = { model: 'toy', prompt: 'Hello', max_tokens: 5, logprobs: 0, seed: 3 };
  const mean = ({ logprobs: { token_logprobs: all } }) =>
    all.reduce((sum, logprob) => sum + logprob, 0) / all.length;
  const four = await client.completions.create({ ...options, n: 4 });
  const best = await client.completions.create({ ...options, best_of: 4 });
  assert.equal(best.choices.length, 1);
  assert.ok(mean(best.choices[0]) >= Math.max(...four.choices.map(mean)) - 0.05);
  assert.equal(best.usage.prompt_tokens, four.usage.prompt_tokens, 'the prompt counts once');
});

test('a prompt that was computed before is not computed again', async () => {
  const long = [{ role: 'user', content: 'Tell me of gates and rivers. '.repeat(8) }];
  const options = { model: 'toy', messages: long, max_tokens: 3 };
  await client.chat.completions.create(options);
  const again = await client.chat.completions.create(options);
  assert.equal(again.usage.prompt_tokens_details.cached_tokens, again.usage.prompt_tokens - 1);
  for (const part of ['queue_ms', 'prefill_ms', 'decode_ms']) assert.ok(again.penstock[part] >= 0);
});

test('streaming with usage: one last chunk with it and no choices', async () => {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({
    model: 'toy', messages, max_tokens: 10, stream: true, stream_options: { include_usage: true },
    ignore_eos: true,
  })) chunks.push(chunk);
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, 10);
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
});

test('the stream helper puts the reply together', async () => {
  const reply = await client.chat.completions.stream({ model: 'toy', messages, max_tokens: 6 })
      .finalChatCompletion();
  assert.equal(reply.choices[0].message.role, 'assistant');
});

test('completions: a text, a list, token ids, a list of those', async () => {
  for (const [prompt, choices] of [['One', 1], [['One', 'Two'], 2], [[1, 5, 9], 1], [[[1, 5], [9]], 2]]) {
    const reply = await client.completions.create({ model: 'toy', prompt, max_tokens: 4 });
    assert.equal(reply.object, 'text_completion');
    assert.deepEqual(reply.choices.map((choice) => choice.index), [...Array(choices).keys()]);
    assert.ok(reply.usage.completion_tokens <= 4 * choices);
  }
});

test('completions stream', async () => {
  let count = 0;
  for await (const chunk of await client.completions.create({ model: 'toy', prompt: 'One', max_tokens: 5, stream: true })) {
    assert.equal(typeof chunk.choices[0].text, 'string');
    count += 1;
  }
  assert.ok(count >= 1);
});

test('embeddings: base64 by default, the same as floats, of length 1', async () => {
  const input = ['A gate', 'A pipe to a turbine'];
  const packed = await client.embeddings.create({ model: 'embed', input });
  const floats = await client.embeddings.create({ model: 'embed', input, encoding_format: 'float' });
  assert.equal(packed.data.length, 2);
  for (const [i, { embedding, index }] of packed.data.entries()) {
    assert.equal(index, i);
    assert.equal(embedding.length, 384);
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-3);
    const other = floats.data[i].embedding;
    assert.ok(embedding.every((value, at) => Math.abs(value - other[at]) < 1e-4));
  }
  assert.ok(packed.usage.prompt_tokens > 0);
  assert.equal(packed.usage.total_tokens, packed.usage.prompt_tokens);
});

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids.sort(), ['embed', 'toy']);
  assert.equal((await client.models.retrieve('toy')).id, 'toy');
  await assert.rejects(client.models.retrieve('nobody'), NotFoundError);
});

test('errors have their classes, fields and codes', async () => {
  const ask = (options, by = client) =>
    by.chat.completions.create({ model: 'toy', messages, max_tokens: 2, ...options });
  await assert.rejects(ask({}, clientOf(server, { apiKey: 'wrong' })), (error) =>
    error instanceof AuthenticationError && error.status === 401 && error.code === 'invalid_api_key');
  await assert.rejects(ask({ model: 'nobody' }), (error) =>
    error instanceof NotFoundError && error.param === 'model' && /nobody/.test(error.message));
  await assert.rejects(ask({ temperature: 3 }), (error) =>
    error instanceof BadRequestError && error.param === 'temperature' && error.type === 'invalid_request_error');
  await assert.rejects(ask({ messages: [{ role: 'user', content: 'word '.repeat(20_000) }] }), (error) =>
    error instanceof BadRequestError && error.code === 'context_length_exceeded');
  await assert.rejects(ask({ stream: true, temperature: 3 }), BadRequestError);
});

test('the client\'s retries carry a request over a replica\'s death', async () => {
  const patient = clientOf(server, { maxRetries: 40 });  // A second each, whatever the machine has to do.
  const once = clientOf(server);
  await assert.rejects(until('a refusal', async () => {
    // Again, should another be there before a slow machine has asked.
    for (const engine of server.engines()) process.kill(engine, 'SIGKILL');
    await once.completions.create({ model: 'toy', prompt: 'a', max_tokens: 1 });
    return false;
  }), (error) => error instanceof InternalServerError && error.status === 503);
  const reply = await patient.completions.create({ model: 'toy', prompt: 'a', max_tokens: 1 });
  assert.equal(reply.usage.completion_tokens, 1);
});

test('an abort within a stream frees the slot', async () => {
  await server.endpointReady('toy');
  const stream = await client.chat.completions.create(
      { model: 'toy', messages, max_tokens: 3000, ignore_eos: true, stream: true });
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.choices.length;
    if (seen === 3) stream.controller.abort();
  }
  assert.ok(seen < 3000);
  await until('nothing runs', async () =>
    (await server.metric('penstock_requests_running', { endpoint: 'toy' })) === 0);
});
