// What a machine has is given out once: an endpoint that finds no room waits visibly, fails after its time with a
// capacity error, and is served when room is there again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Server, run, synthesise, until } from '../support/penstock.mjs';

const kRoot = '/api/2.0/serving-endpoints';

test('no room: it waits visibly, fails after its time, and comes up when there is room', async (t) => {
  // A replica of the toy takes 256 MiB and its weights: one has room, two have not.
  const server = await Server.start(t, { flags: ['--replica-memory-bytes-max', String(400 << 20), '--update-wait-max-s', '3'] });
  await run(['model', 'register', 'main.test.m', '--file', await synthesise('toy'), '--data-dir', server.dataDirectory]);
  const create = (name, extra = {}) => server.call('POST', kRoot, { name, config: { served_entities: [
    { entity_name: 'main.test.m', entity_version: 1, ...extra }] } });
  const get = async (name) => (await server.call('GET', `${kRoot}/${name}`)).json;
  assert.equal((await create('first')).status, 200);
  await server.endpointReady('first');
  assert.equal((await create('second')).status, 200);
  const waiting = await until('it says what it waits for', async () => {
    const second = await get('second');
    const [entity] = second.pending_config.served_entities;
    return /Waiting for capacity/.test(entity.state.deployment_state_message) && second;
  });
  assert.equal(waiting.state.ready, 'NOT_READY');
  assert.match(waiting.pending_config.served_entities[0].state.deployment_state_message,
    /a replica needs 0\.3 GiB of memory, 0\.1 of 0\.4 GiB are free/);
  const failed = await until('its time is over', async () => {
    const second = await get('second');
    return second.state.config_update === 'UPDATE_FAILED' && second;
  });
  assert.match(failed.update_message, /^RESOURCE_EXHAUSTED: no capacity within 3 s: /);
  assert.equal(failed.pending_config.served_entities[0].state.deployment, 'DEPLOYMENT_FAILED');
  const waited = await run(['endpoint', 'wait', 'second', '--data-dir', server.dataDirectory]);
  assert.equal(waited.code, 1);
  assert.match(waited.stdout + waited.stderr, /RESOURCE_EXHAUSTED/);
  const events = (await server.call('GET', `${kRoot}/second/events`)).json.events.map(({ type }) => type);
  assert.ok(events.includes('capacity') && events.includes('failed'), events.join());

  assert.equal((await server.call('DELETE', `${kRoot}/first`)).status, 200);
  await server.endpointReady('second');
  assert.equal((await get('second')).state.config_update, 'NOT_UPDATING');
});

test('an update that finds no room leaves the old configuration serving', async (t) => {
  const server = await Server.start(t, { flags: ['--replica-memory-bytes-max', String(400 << 20), '--update-wait-max-s', '3'] });
  const file = await synthesise('toy');
  await run(['model', 'register', 'main.test.m', '--file', file, '--data-dir', server.dataDirectory]);
  await run(['model', 'register', 'main.test.m', '--file', file, '--data-dir', server.dataDirectory]);
  const config = (version) => ({ served_entities: [{ entity_name: 'main.test.m', entity_version: version }] });
  await server.call('POST', kRoot, { name: 'chat', config: config(1) });
  await server.endpointReady('chat');
  assert.equal((await server.call('PUT', `${kRoot}/chat/config`, config(2))).status, 200);
  const again = await server.call('PUT', `${kRoot}/chat/config`, config(1));
  assert.equal(again.status, 409);
  assert.equal(again.json.error_code, 'RESOURCE_CONFLICT');
  const failed = await until('its time is over', async () => {
    const { json } = await server.call('GET', `${kRoot}/chat`);
    assert.equal(json.state.ready, 'READY');
    return json.state.config_update === 'UPDATE_FAILED' && json;
  });
  assert.match(failed.update_message, /RESOURCE_EXHAUSTED/);
  assert.equal(failed.config.config_version, 1);
  const { status, text } = await server.call('POST', '/serving-endpoints/chat/invocations',
    { messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 });
  assert.equal(status, 200, text);
});
