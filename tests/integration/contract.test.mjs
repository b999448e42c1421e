// The contract on the real program, with its own engine: groups and their limits, revoked keys,
// callers that share a replica, limits that hold over all request threads.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const messages = [{ role: 'user', content: 'What is a penstock?' }];

// `penstock WORDS` against the server.
async function command(server, ...words) {
  const done = await run([...words, '--data-dir', server.dataDirectory]);
  assert.equal(done.code, 0, done.stderr);
  return done.stdout.trim();
}

const running = (server, endpoint) => server.metric('penstock_requests_running', { endpoint });

test('groups: made, filled and emptied by command; their limits count all of their keys', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  await command(server, 'group', 'create', 'interns');
  const keys = {};
  keys.ann = await command(server, 'key', 'create', 'ann');
  keys.bob = await command(server, 'key', 'create', 'bob', '--group', 'interns');
  keys.cid = await command(server, 'key', 'create', 'cid', '--group', 'interns');
  assert.match(await command(server, 'group', 'list'), /interns +bob,cid/);
  assert.match(await command(server, 'key', 'list'), /bob +user +interns/);
  const set = await server.call('PUT', '/api/2.0/serving-endpoints/toy/ai-gateway', {
    rate_limits: [{ key: 'user_group', principal: 'interns', calls: 2, renewal_period: 'minute' }],
  });
  assert.equal(set.status, 200, set.text);
  const ask = (name) => server.call('POST', '/serving-endpoints/chat/completions',
    { model: 'toy', messages, max_tokens: 1, user: 'ann' }, { key: keys[name] });
  await until('the limit is in effect', async () =>
    (await ask('bob')).headers.get('x-ratelimit-limit-requests') === '2');
  const statuses = [];
  for (const name of ['cid', 'bob', 'cid', 'ann', 'ann', 'ann']) statuses.push((await ask(name)).status);
  // Bob's first one may have come before the limit, which then leaves room for one more.
  assert.equal(statuses.slice(0, 3).filter((status) => status === 429).length >= 1, true, `${statuses}`);
  assert.equal(statuses[2], 429, 'the group is beyond its limit, whoever of it asks, and whoever `user` says');
  assert.deepEqual(statuses.slice(3), [200, 200, 200], 'ann is in no group');
  const refused = await ask('cid');
  assert.deepEqual([refused.json.error.type, refused.json.error.code, refused.json.error.limit_type,
    refused.json.error.limit], ['rate_limit_exceeded', 429, 'queries_per_minute', 2]);
  assert.ok(refused.json.error.current >= 2 && refused.json.error.retry_after >= 1);
  await command(server, 'group', 'remove', 'interns', 'cid');
  await until('cid is out of it', async () => (await ask('cid')).status === 200);
  assert.equal((await ask('bob')).status, 429);
  // Permissions name groups, too.
  const { json } = await server.call('GET', '/api/2.0/serving-endpoints/toy');
  const permit = (list) => server.call('PUT', `/api/2.0/permissions/serving-endpoints/${json.id}`,
    { access_control_list: list });
  await permit([{ group_name: 'interns', permission_level: 'CAN_VIEW' }]);
  const seen = async (name) =>
    (await server.call('GET', '/api/2.0/serving-endpoints/toy', undefined, { key: keys[name] })).status;
  assert.deepEqual([await seen('bob'), await seen('cid')], [200, 404]);
  await until('seeing is not querying', async () => (await ask('bob')).status === 403);
  assert.equal((await ask('cid')).status, 404);
  const models = await server.call('GET', '/v1/models', undefined, { key: keys.cid });
  assert.deepEqual(models.json.data, [], 'what cid may not see is not listed');
  await permit([{ group_name: 'interns', permission_level: 'CAN_QUERY' }]);
  await until('bob may query', async () => [200, 429].includes((await ask('bob')).status));
  await command(server, 'group', 'delete', 'interns');
  await until('nobody is in it', async () => (await ask('bob')).status === 404);
  await permit([]);
  await until('all may query', async () => (await ask('bob')).status === 200);
  assert.equal(await command(server, 'group', 'list'), (await command(server, 'group', 'list')).split('\n')[0]);
});

test('a revoked key: its stream ends with an error event, the slot is free, what it got is billed', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const key = await command(server, 'key', 'create', 'ann');
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'toy', messages, stream: true, ignore_eos: true, max_tokens: 400 }),
  });
  assert.equal(response.status, 200);
  let text = '';
  let revoked;
  let cut = false;
  try {
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      revoked ??= command(server, 'key', 'revoke', 'ann');
    }
  } catch (error) {
    // Where a chunk was on its way in part, no event fits behind it: the connection ends instead.
    assert.equal(error.message, 'terminated');
    cut = true;
  }
  await revoked;
  if (cut) assert.doesNotMatch(text, /\[DONE\]/);
  else if (!text.includes('[DONE]')) {  // Else it was faster than the command.
    assert.match(text, /data: {"error":{"message":"the API key was revoked[^\n]*}\n\n$/);
  }
  await until('the slot is free', async () => (await running(server, 'toy')) === 0);
  const again = await server.call('POST', '/v1/chat/completions', { model: 'toy', messages }, { key });
  assert.equal(again.status, 401);
  const records = await until('it is billed', async () => {
    const lines = (await command(server, 'usage', 'records', '--format', 'jsonl', '--from', '1h')).split('\n');
    const mine = lines.filter(Boolean).map((line) => JSON.parse(line)).filter((each) => each.key === 'ann');
    return mine.length > 0 && mine;
  });
  assert.equal(records.length, 1);
  assert.ok(records[0].output_tokens >= 1);
});

// How many requests have come to the server's only engine, by its own count: the gateway's is ahead of it.
async function arrived(server) {
  const text = await new Promise((resolve, reject) => {
    request({ socketPath: server.engineSockets()[0], path: '/metrics' }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece) => { body += piece; }).on('end', () => resolve(body));
    }).on('error', reject).end();
  });
  return ['queued', 'running', 'requests_finished_total'].reduce((sum, name) =>
    sum + Number(new RegExp(`^penstock_engine_${name}(?:{.*})? (\\S+)$`, 'm').exec(text)[1]), 0);
}

// On one slot, some twenty requests of one caller wait when another's comes. The engine serves callers in
// turns, and knows them from the gateway, whatever a client says. Only the order is looked at.
async function placeOfTheLast(t, keyOfTheLast, headers = {}) {
  const server = await Server.start(t, { flags: ['--engine-parallel', '1'] });
  await server.serveModel('toy', await synthesise('toy'));
  const keys = { ann: await command(server, 'key', 'create', 'ann'), bob: await command(server, 'key', 'create', 'bob') };
  const order = [];
  const ask = (name, key) => server.call('POST', '/v1/completions',
    { model: 'toy', prompt: `${name} asks for a story that is as long as all others`, max_tokens: 60, ignore_eos: true },
    { key: keys[key], headers }).then(({ status }) => {
    assert.equal(status, 200);
    order.push(name);
  });
  const earlier = await arrived(server);
  const asked = [];
  for (let i = 0; i < 24; ++i) asked.push(ask(`first ${i}`, 'ann'));
  await until('they are all at the replica', async () => (await arrived(server)) - earlier >= 24);
  const before = order.length;
  asked.push(ask('the last', keyOfTheLast));
  await Promise.all(asked);
  return { place: order.indexOf('the last') - before, waited: 24 - before };
}

test('callers share a replica by what they had, not by how much they ask for', async (t) => {
  const { place, waited } = await placeOfTheLast(t, 'bob');
  assert.ok(place <= waited / 2, `served after ${place} of ${waited} that waited before it`);
});

test('nobody is another caller by saying so', async (t) => {
  const { place, waited } = await placeOfTheLast(t, 'ann',
    { 'x-penstock-caller': 'somebody-new', 'x-penstock-deadline-ms': '1' });
  assert.ok(place >= 0.75 * waited, `served after ${place} of ${waited} that waited before it`);
});

// Limits are of the endpoint, however many threads and connections its requests come on.
test('limits hold over all request threads together', async (t) => {
  const engine = await Server.start(t);
  await engine.serveModel('toy', await synthesise('toy'));
  const socket = await until('the engine has a socket', () => engine.engineSockets()[0]);
  const file = join(temporaryFolder(t), 'policies.json');
  writeFileSync(file, JSON.stringify({
    pools: { one: { replica_concurrency: 2, queue_max: 1000 } },
    endpoints: {
      calls: { rate_limits: [{ key: 'endpoint', calls: 20 }] },
      quota: { quota: { requests_per_minute: 60, request_window_s: 10 } },
      places: { pool: 'one' },
    },
  }));
  const server = await Server.start(t, {
    flags: ['--io-threads', '4', ...['calls', 'quota', 'places'].flatMap((name) =>
      ['--static-endpoint', `${name}=unix:${socket}`]), '--static-policies', file],
  });
  // A connection for each, so that the kernel spreads them over the threads.
  const ask = (model) => server.call('POST', '/v1/completions', { model, prompt: 'a', max_tokens: 1 },
    { headers: { connection: 'close' } });
  const good = async (model, count) => (await Promise.all(Array.from({ length: count }, () => ask(model))))
    .filter(({ status }) => status === 200).length;
  assert.equal(await good('calls', 60), 20);
  // The window of ten seconds may begin anew between the first and the last.
  const passed = await good('quota', 60);
  assert.ok(passed === 10 || passed === 20, `${passed} of 10 in a window`);
  assert.equal(await good('places', 40), 40);
  assert.equal(await server.metric('penstock_pool_in_flight'), 0);
});
