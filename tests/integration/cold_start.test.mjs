// What was scaled to zero: requests wait for its first replica, within limits. Real engines.

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const kEndpoints = '/api/2.0/serving-endpoints';

// An endpoint that has just gone to zero.
async function startAtZero(t, flags = []) {
  const server = await Server.start(t, { flags: ['--scale-down-wait-s', '10', ...flags] });
  const model = join(temporaryFolder(t), 'toy.gguf');
  copyFileSync(await synthesise('toy'), model);
  const made = await server.call('POST', '/api/2.1/unity-catalog/models',
    { name: 'main.test.toy', source: model });
  assert.equal(made.status, 200, made.text);
  await server.call('POST', kEndpoints, { name: 'toy', config: { served_entities: [{
    entity_name: 'main.test.toy', entity_version: '1', scale_to_zero_enabled: true }] } });
  await server.endpointReady('toy');
  await atZero(server);
  return { server, model };
}
const atZero = (server) => until('it goes to zero', () => server.engines().length === 0, { seconds: 60 });
const ask = (server, more = {}, options = {}) => server.call('POST', '/v1/completions',
  { model: 'toy', prompt: 'a', max_tokens: 2, ...more }, options);

test('requests to nobody are held until a replica is ready, and then all are served', async (t) => {
  const { server } = await startAtZero(t);
  assert.equal((await server.call('GET', `${kEndpoints}/toy`)).json.state.ready, 'READY');
  const answers = await Promise.all([ask(server), ask(server), ask(server, { stream: true })]);
  for (const { status, text } of answers) assert.equal(status, 200, text);
  assert.match(answers[2].text, /\[DONE\]/);
  assert.equal(server.engines().length, 1);
  const { text } = await server.call('GET', `${kEndpoints}/toy/events`);
  assert.match(text, /0 -> 1/);
});

test('a client that leaves frees its place; whoever waits longer than the limit is told it', async (t) => {
  const { server, model } = await startAtZero(t, ['--cold-start-wait-max-s', '4']);
  rmSync(model);  // So that no replica can start.
  const waiting = () => server.metric('penstock_queue_waiting');
  const leaving = new AbortController();
  const left = ask(server, {}, { signal: leaving.signal });
  await until('it waits', async () => await waiting() === 1);
  leaving.abort();
  await assert.rejects(left);
  await until('nobody waits', async () => await waiting() === 0);

  const begun = Date.now();
  const { status, headers, json } = await ask(server);
  assert.equal(status, 503);
  assert.ok(Date.now() - begun >= 3900);
  assert.match(json.error.message, /no replica became ready within 4 s \(serve --cold-start-wait-max-s\)/);
  assert.ok(Number(headers.get('retry-after-ms')) > 0);
});

test('with a limit of 0 nobody waits', async (t) => {
  const { server, model } = await startAtZero(t, ['--cold-start-wait-max-s', '0']);
  rmSync(model);
  const { status, json } = await ask(server);
  assert.equal(status, 503);
  assert.match(json.error.message, /no replica that is ready/);
});
