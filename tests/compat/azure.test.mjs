// Contracts and Azure's paths as the AzureOpenAI and OpenAI classes of OpenAI's own client see them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import OpenAI, { AuthenticationError, AzureOpenAI, BadRequestError, NotFoundError, RateLimitError } from 'openai';

import { Server, synthesise, until } from '../support/penstock.mjs';

const messages = [{ role: 'user', content: 'What is a penstock?' }];
const afters = [];
const scope = { after: (end) => afters.push(end) };
let engine;  // A server whose endpoint is everybody's upstream; it asks for no key on its engine's socket.
let server;

const azure = (options = {}) => new AzureOpenAI({
  endpoint: server.url, apiKey: server.adminKey, apiVersion: '2024-10-21', maxRetries: 0, ...options,
});

before(async () => {
  engine = await Server.start(scope);
  await engine.serveModel('toy', await synthesise('toy'));
  const routes = await until('the engine has a socket', () => engine.engineSockets()[0]);
  server = await Server.start(scope, {
    flags: [
      ...['chat', 'ptu', 'std', 'limited', 'spills'].flatMap((name) => ['--static-endpoint', `${name}=unix:${routes}`]),
      '--static-policies', policies(),
    ],
  });
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

function policies() {
  const units = {
    guarantee_cost_per_s: 100, cap_cost_per_s: 100, guarantee_burst_ms: 100, cap_burst_ms: 100,
    accounting: 'utilization', overload: 'reject', reserve: 'limit', output_weight: 1,
  };
  const file = join(engine.dataDirectory, 'policies.json');
  writeFileSync(file, JSON.stringify({
    endpoints: {
      ptu: units,
      spills: { ...units, spillover: 'chat', cap_cost_per_s: 1, guarantee_cost_per_s: 1 },
      std: { quota: { tokens_per_minute: 60000, requests_per_minute: 6 } },
      limited: { rate_limits: [{ key: 'user', calls: 1 }] },
    },
  }));
  return file;
}

test('AzureOpenAI: chat, whole and streamed; the deployment of the path decides', async () => {
  const client = azure();
  const reply = await client.chat.completions.create({ model: 'chat', messages, max_tokens: 4 });
  assert.ok(reply.usage.completion_tokens <= 4);
  let text = '';
  for await (const chunk of await client.chat.completions.create(
    { model: 'chat', messages, max_tokens: 4, stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta.content ?? '';
  }
  assert.equal(typeof text, 'string');
  const { response } = await client.completions.create({ model: 'chat', prompt: 'One', max_tokens: 2 }).withResponse();
  assert.equal(response.headers.get('x-ms-deployment-name'), 'chat');
  assert.ok(response.headers.get('apim-request-id'));
});

test('AzureOpenAI: errors have their classes and codes', async () => {
  const ask = (client, model = 'chat', more = {}) =>
    client.chat.completions.create({ model, messages, max_tokens: 2, ...more });
  await assert.rejects(ask(azure({ apiKey: 'wrong' })), (error) =>
    error instanceof AuthenticationError && error.code === '401' && /invalid subscription key/.test(error.message));
  await assert.rejects(ask(azure(), 'nobody'), (error) =>
    error instanceof NotFoundError && error.code === 'DeploymentNotFound');
  await assert.rejects(ask(azure(), 'chat', { temperature: 3 }), BadRequestError);
  for (const max_tokens of [0, -1, 2 ** 31, '5']) {
    await assert.rejects(ask(azure(), 'chat', { max_tokens }), BadRequestError, `max_tokens ${max_tokens}`);
  }
  await assert.rejects(ask(azure(), 'chat', { n: 1000 }), BadRequestError);
});

test('the v1 paths take the key as Bearer and need no version', async () => {
  const client = new OpenAI({ baseURL: `${server.url}/openai/v1`, apiKey: server.adminKey, maxRetries: 0 });
  const reply = await client.chat.completions.create({ model: 'chat', messages, max_tokens: 2 });
  assert.ok(reply.usage.total_tokens > 0);
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes('ptu'));
});

test('provisioned units: 429 with the exact time, and the client comes back after it', async () => {
  const ask = (client) => client.chat.completions.create({ model: 'ptu', messages, max_tokens: 60 });
  await ask(azure());
  const refused = await ask(azure()).then(() => undefined, (error) => error);
  assert.ok(refused instanceof RateLimitError, String(refused));
  const wait = Number(refused.headers.get('retry-after-ms'));
  assert.ok(wait >= 1 && wait < 5000, `retry-after-ms ${wait}`);
  assert.match(refused.headers.get('azure-openai-deployment-utilization'), /^\d+\.\d%$/);
  // What the client itself is told on its way: one refusal, and then room.
  const told = [];
  const watched = async (...request) => {
    const response = await fetch(...request);
    told.push({ status: response.status, wait: Number(response.headers.get('retry-after-ms')), at: performance.now() });
    return response;
  };
  await ask(azure({ maxRetries: 3, fetch: watched }));
  const statuses = told.map((one) => one.status);
  assert.deepEqual(statuses, [429, 200], 'one retry, and it finds room');
  const took = told[1].at - told[0].at;
  assert.ok(took >= told[0].wait, `came back after ${took} ms, was told ${told[0].wait}`);
});

test('standard quota: the limit headers count down, then Azure\'s words', async () => {
  const client = azure();
  const { response } = await client.chat.completions.create({ model: 'std', messages, max_tokens: 2 }).withResponse();
  assert.equal(response.headers.get('x-ratelimit-limit-tokens'), '60000');
  assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '0');
  await assert.rejects(client.chat.completions.create({ model: 'std', messages, max_tokens: 2 }), (error) =>
    error instanceof RateLimitError && /ChatCompletions_Create.*2024-10-21.*call rate limit/.test(error.message));
});

test('rate limits of a user', async () => {
  const client = new OpenAI({ baseURL: `${server.url}/serving-endpoints`, apiKey: server.adminKey, maxRetries: 0 });
  const ask = () => client.chat.completions.create({ model: 'limited', messages, max_tokens: 2, user: `${Math.random()}` });
  const { response } = await ask().withResponse();
  assert.equal(response.headers.get('served-model-name'), 'limited');
  await assert.rejects(ask(), (error) =>
    error instanceof RateLimitError && /User defined rate limit/.test(error.message));
  const invoked = await server.call('POST', '/serving-endpoints/limited/invocations', { messages });
  assert.equal(invoked.status, 429);
  assert.equal(invoked.json.error_code, 'REQUEST_LIMIT_EXCEEDED');
  assert.ok(Number(invoked.headers.get('retry-after')) >= 1);
});

test('spill-over tells whence it came', async () => {
  const client = azure();
  const ask = () => client.chat.completions.create({ model: 'spills', messages, max_tokens: 20 }).withResponse();
  await ask();
  const { response } = await ask();
  assert.equal(response.headers.get('x-ms-spillover-from-spills'), 'spills');
  assert.equal(response.headers.get('x-ms-deployment-name'), 'chat');
  assert.equal(await server.metric('penstock_spilled_over_total', { endpoint: 'spills' }), 1);
});
