// Formats of answers and tool calls as OpenAI's own client sees them, through the gateway. The model
// is noise: what it writes under a grammar is whatever the grammar lets pass.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import OpenAI, { BadRequestError } from 'openai';

import { Server, synthesise } from '../support/penstock.mjs';

const kTemplate = fileURLToPath(new URL('tools.jinja', import.meta.url));
const kSeeds = 24;
const messages = [{ role: 'user', content: 'Go.' }];
const ajv = new Ajv({ strict: false });
addFormats(ajv);
let client;
const afters = [];

before(async () => {
  const server = await Server.start({ after: (end) => afters.push(end) });
  const flags = ['--vocabulary', 'bytes-chat', '--chat-template-file', kTemplate];
  await server.serveModel('tools', await synthesise('toy', flags));
  await server.serveModel('plain', await synthesise('toy'));
  await server.serveModel('embed', await synthesise('bge-small'));
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.adminKey, maxRetries: 0 });
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

const kPerson = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 8 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    score: { type: 'number', minimum: -1, maximum: 1 },
    mood: { enum: ['good', 'bad', null] },
    born: { type: 'string', format: 'date' },
    code: { type: 'string', pattern: '^[A-Z]{2}-\\d{2,4}$' },
    tags: { type: 'array', items: { $ref: '#/$defs/tag' }, minItems: 1, maxItems: 3 },
    more: { anyOf: [{ type: 'null' }, { type: 'boolean' }] },
  },
  required: ['name', 'age', 'mood', 'born', 'tags', 'more'],
  additionalProperties: false,
  $defs: { tag: { type: 'string', maxLength: 4 } },
};
const formatOf = (schema) => ({
  type: 'json_schema', json_schema: { name: 'answer', strict: true, schema },
});

async function gather(options) {
  const found = { content: '', calls: [], finish: null };
  for await (const chunk of await client.chat.completions.create({ ...options, stream: true })) {
    const choice = chunk.choices[0];
    if (!choice) continue;
    assert.equal(found.finish, null, 'nothing follows the finish reason');
    found.content += choice.delta.content ?? '';
    for (const { index, id, function: part } of choice.delta.tool_calls ?? []) {
      if (id) {
        assert.equal(index, found.calls.length, 'calls begin in their order');
        found.calls.push({ id, name: part.name, arguments: '' });
      }
      found.calls[index].arguments += part.arguments ?? '';
    }
    found.finish = choice.finish_reason;
  }
  return found;
}

test('every answer to a schema parses and satisfies it', async () => {
  const check = ajv.compile(kPerson);
  for (let seed = 1; seed <= kSeeds; ++seed) {
    const options = {
      model: 'tools', messages, max_tokens: 1500, seed, response_format: formatOf(kPerson),
    };
    const reply = await client.chat.completions.create(options);
    const { message, finish_reason } = reply.choices[0];
    assert.equal(finish_reason, 'stop', `seed ${seed}: ${message.content}`);
    assert.ok(check(JSON.parse(message.content)),
      `seed ${seed}: ${message.content}: ${ajv.errorsText(check.errors)}`);
    if (seed % 4 !== 0) continue;
    const streamed = await gather(options);
    assert.equal(streamed.finish, 'stop');
    assert.ok(check(JSON.parse(streamed.content)), `seed ${seed}: ${streamed.content}`);
  }
});

test('a schema holds text completions, too, and each of several choices', async () => {
  const schema = { enum: ['yes', 'no', { maybe: [1, 2] }] };
  const reply = await client.completions.create({
    model: 'plain', prompt: 'x', max_tokens: 60, n: 3, response_format: formatOf(schema), seed: 3,
  });
  assert.equal(reply.choices.length, 3);
  const check = ajv.compile(schema);
  for (const { text, finish_reason } of reply.choices) {
    assert.ok(check(JSON.parse(text)), text);
    assert.equal(finish_reason, 'stop');
  }
});

test('any object: what ends by itself parses, what was cut does not go on', async () => {
  let ended = 0;
  for (let seed = 1; seed <= kSeeds; ++seed) {
    const reply = await client.chat.completions.create({
      model: 'plain', messages, max_tokens: 60, seed, response_format: { type: 'json_object' },
    });
    const { message, finish_reason } = reply.choices[0];
    assert.match(message.content, /^\{/);
    if (finish_reason === 'stop') {
      ++ended;
      assert.equal(typeof JSON.parse(message.content), 'object');
    } else {
      assert.equal(finish_reason, 'length');
      assert.equal(reply.usage.completion_tokens, 60);
    }
  }
  assert.ok(ended > 0, 'no seed ended: the test shows nothing');
});

test('stop strings and the least number of tokens do not break a grammar', async () => {
  const schema = { type: 'array', items: { const: 'ab' }, minItems: 5, maxItems: 5 };
  const options = { model: 'plain', messages, max_tokens: 300, response_format: formatOf(schema) };
  const stopped = await client.chat.completions.create({ ...options, stop: '"ab"' });
  assert.equal(stopped.choices[0].finish_reason, 'stop');
  assert.match(stopped.choices[0].message.content, /^\[\s*$/);
  const kept = await client.chat.completions.create({ ...options, min_tokens: 280 });
  assert.deepEqual(JSON.parse(kept.choices[0].message.content), Array(5).fill('ab'));
});

test('what a schema cannot be is refused by name and place', async () => {
  const cases = [
    [{ type: 'object', properties: { a: { not: {} } } }, /properties\.a\.not/],
    [{ type: 'string', pattern: '(?=a)b' }, /pattern/],
    [{ $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }] } } }, /begins with itself/],
  ];
  for (const [schema, words] of cases) {
    await assert.rejects(
      client.chat.completions.create({ model: 'plain', messages, response_format: formatOf(schema) }),
      (error) => error instanceof BadRequestError && words.test(error.message) &&
        /response_format/.test(error.param));
  }
});

const kTools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      description: 'The weather somewhere.',
      parameters: {
        type: 'object',
        properties: { city: { enum: ['Berlin', 'Ulm'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['city', 'days'],
        additionalProperties: false,
      },
    },
  },
  {
    type: 'function',
    function: {
      name: 'add',
      parameters: {
        type: 'object',
        properties: { a: { enum: [1, 2] } },
        required: ['a'],
        additionalProperties: false,
      },
    },
  },
];
const checkOf = Object.fromEntries(
  kTools.map(({ function: { name, parameters } }) => [name, ajv.compile(parameters)]));

function checkCalls(calls, seed, names = Object.keys(checkOf)) {
  assert.ok(calls.length >= 1, `seed ${seed}: no call`);
  for (const { id, name, arguments: text } of calls) {
    assert.match(id, /^call_/);
    assert.ok(names.includes(name), name);
    assert.ok(checkOf[name](JSON.parse(text)), `seed ${seed}: ${name}(${text})`);
  }
  assert.equal(new Set(calls.map(({ id }) => id)).size, calls.length);
}

test('a call that is required is made, whole and streamed', async () => {
  for (let seed = 1; seed <= kSeeds / 2; ++seed) {
    const options = {
      model: 'tools', messages, max_tokens: 1000, seed, tools: kTools, tool_choice: 'required',
      parallel_tool_calls: false,
    };
    const whole = (await client.chat.completions.create(options)).choices[0];
    assert.equal(whole.finish_reason, 'tool_calls', JSON.stringify(whole));
    assert.equal(whole.message.content, null);
    const calls = whole.message.tool_calls.map((call) => ({ id: call.id, ...call.function }));
    assert.equal(calls.length, 1);
    checkCalls(calls, seed);
    const streamed = await gather(options);
    assert.equal(streamed.finish, 'tool_calls');
    assert.equal(streamed.content, '');
    checkCalls(streamed.calls, seed);
  }
});

test('a choice of one tool calls that one', async () => {
  for (const name of ['weather', 'add']) {
    const reply = await client.chat.completions.create({
      model: 'tools', messages, max_tokens: 1000, seed: 5, tools: kTools,
      tool_choice: { type: 'function', function: { name } },
    });
    const { message, finish_reason } = reply.choices[0];
    assert.equal(finish_reason, 'tool_calls');
    checkCalls(message.tool_calls.map((call) => ({ id: call.id, ...call.function })), 5, [name]);
  }
});

test('a model that may call and does not has said text', async () => {
  const options = { model: 'tools', messages, max_tokens: 40, seed: 2, tools: kTools };
  for (const tool_choice of ['auto', 'none', undefined]) {
    const { message, finish_reason } =
      (await client.chat.completions.create({ ...options, tool_choice })).choices[0];
    assert.ok(message.content.length > 0);
    assert.equal(message.tool_calls, undefined);
    assert.ok(['stop', 'length'].includes(finish_reason));
  }
});

test('calls and their results are part of a conversation', async () => {
  const conversation = [
    ...messages,
    {
      role: 'assistant', content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'RESULT-7' },
  ];
  const short = await client.chat.completions.create(
    { model: 'tools', messages, max_tokens: 1, tools: kTools });
  const long = await client.chat.completions.create(
    { model: 'tools', messages: conversation, max_tokens: 1, tools: kTools });
  assert.ok(long.usage.prompt_tokens > short.usage.prompt_tokens + 'RESULT-7'.length);
});

test('tools are refused where the model\'s template has none', async () => {
  await assert.rejects(
    client.chat.completions.create({ model: 'plain', messages, tools: kTools }),
    (error) => error instanceof BadRequestError && error.param === 'tools');
});

test('a gap is filled where the model can, and refused where it cannot', async () => {
  const options = { prompt: 'ab', suffix: 'yz', max_tokens: 3, seed: 1 };
  const filled = await client.completions.create({ model: 'tools', ...options });
  assert.equal(filled.usage.prompt_tokens, 8, 'beginning, 3 marks, 4 bytes');
  await assert.rejects(client.completions.create({ model: 'plain', ...options }),
    (error) => error instanceof BadRequestError && error.param === 'suffix');
});

test('fewer dimensions: the first ones, of length 1 again', async () => {
  const options = { model: 'embed', input: 'a penstock', encoding_format: 'float' };
  const [whole, few] = await Promise.all([
    client.embeddings.create(options), client.embeddings.create({ ...options, dimensions: 64 }),
  ]);
  const start = whole.data[0].embedding.slice(0, 64);
  const length = Math.hypot(...start);
  assert.equal(few.data[0].embedding.length, 64);
  few.data[0].embedding.forEach((value, i) => assert.ok(Math.abs(value - start[i] / length) < 1e-4));
  await assert.rejects(client.embeddings.create({ ...options, dimensions: 385 }),
    (error) => error instanceof BadRequestError && error.param === 'dimensions' &&
      /at most 384/.test(error.message));
});
