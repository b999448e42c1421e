// kill -9: of an engine while it streams, of the server; what was acknowledged must come back. And an
// engine that aborts, as llama.cpp does where one of its assertions fails.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { Server, synthesise, temporaryFolder, until } from '../support/penstock.mjs';
import { stream } from '../support/stream.mjs';

const kLong = { max_tokens: 3000, ignore_eos: true };
const kShort = { model: 'toy', prompt: 'Hello', max_tokens: 3 };

const lives = (pid) => existsSync(`/proc/${pid}`);

for (const signal of ['SIGKILL', 'SIGABRT']) {
  test(`${signal} of an engine: its streams end with an error, and it is replaced`, (t) =>
    loseAnEngine(t, signal));
}

async function loseAnEngine(t, signal) {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const streams = await Promise.all([1, 2, 3, 4].map(() => stream(server, 'toy', kLong)));
  for (const each of streams) assert.ok(await each.next());
  const [engine, ...others] = server.engines();
  assert.deepEqual(others, []);
  process.kill(engine, signal);

  for (const each of streams) {
    const events = await each.rest();
    assert.equal(events.includes('[DONE]'), false, 'a cut must not look like an end');
    assert.equal(typeof JSON.parse(events.at(-1)).error.message, 'string');
  }
  await server.endpointReady('toy');
  await until('the replica is replaced', async () =>
    (await server.call('POST', '/v1/completions', kShort)).status === 200);
  assert.notEqual(server.engines()[0], engine);
  assert.equal(await server.metric('penstock_replica_restarts_total', { endpoint: 'toy' }), 1);
  assert.equal(await server.metric('penstock_requests_running', { endpoint: 'toy' }), 0);
}

test('without its engine a request is 503 and told when to try again', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  process.kill(server.engines()[0], 'SIGKILL');
  const refused = await until('a request meets no replica', async () => {
    const answer = await server.call('POST', '/v1/completions', kShort);
    return answer.status !== 200 ? answer : undefined;
  });
  assert.equal(refused.status, 503, refused.text);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
});

test('kill -9 of the server: engines end with it, endpoints are there again and serve', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const first = await Server.start(t, { dataDirectory });
  const toy = await synthesise('toy');
  await first.serveModel('toy', toy);
  await first.serveModel('other', toy);
  const engines = first.engines();
  assert.equal(engines.length, 2);
  const one = await stream(first, 'toy', kLong);
  assert.ok(await one.next());
  await first.kill();
  await assert.rejects(one.rest(), 'the stream is cut, not ended');
  await until('the engines have ended', () => !engines.some(lives));

  const second = await Server.start(t, { dataDirectory });
  for (const name of ['toy', 'other']) {
    await second.endpointReady(name);
    const answer = await second.call('POST', '/v1/completions', { ...kShort, model: name });
    assert.equal(answer.status, 200, answer.text);
  }
  const { json } = await second.call('GET', '/v1/models');
  assert.deepEqual(json.data.map((model) => model.id).sort(), ['other', 'toy']);
});

test('a deleted endpoint stays deleted over kill -9', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const first = await Server.start(t, { dataDirectory });
  await first.serveModel('toy', await synthesise('toy'));
  const deleted = await first.call('DELETE', '/api/2.0/serving-endpoints/toy');
  assert.equal(deleted.status, 200);
  await first.kill();
  const second = await Server.start(t, { dataDirectory });
  assert.equal((await second.call('GET', '/api/2.0/serving-endpoints/toy')).status, 404);
  assert.equal((await second.call('POST', '/v1/completions', kShort)).status, 404);
});
