// Penstock as Databricks' own client for Node sees it, over TLS; and seed 004's snippet by hand.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import sdk from '@databricks/sdk-experimental';

import { Server, synthesise, until } from '../support/penstock.mjs';
import { startTlsServer } from './tls.mjs';

const kModel = 'ml.llm-catalog.foundation-model';
const afters = [];
const scope = { after: (end) => afters.push(end) };
let server;
let client;
let agent;

const register = (file) => client.apiClient.request({
  path: '/api/2.1/unity-catalog/models',
  method: 'POST',
  headers: new Headers({ 'content-type': 'application/json' }),
  payload: { name: kModel, source: file },
});

before(async () => {
  const tls = await startTlsServer(scope);
  server = tls.server;
  agent = tls.agent;
  client = new sdk.WorkspaceClient(
    { host: 'https://penstock.invalid', token: server.adminKey, authType: 'pat' },
    { agent: tls.agent });
  await register(await synthesise('toy'));
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

const entity = (extra = {}) => ({
  entity_name: kModel, entity_version: '1', min_provisioned_throughput: 100,
  max_provisioned_throughput: 1000, ...extra,
});

test('create and wait, get, list, query, delete', async () => {
  const waiter = await client.servingEndpoints.create({
    name: 'chat',
    config: { served_entities: [entity({ name: 'first' })] },
    tags: [{ key: 'team', value: 'search' }],
  });
  const ready = await waiter.wait();
  assert.equal(ready.state.ready, 'READY');
  assert.equal(ready.state.config_update, 'NOT_UPDATING');
  assert.equal(ready.config.served_entities[0].state.deployment, 'DEPLOYMENT_READY');
  assert.match(ready.id, /^[0-9a-f]{32}$/);

  const listed = [];
  for await (const endpoint of client.servingEndpoints.list()) listed.push(endpoint.name);
  assert.deepEqual(listed, ['chat']);

  const answer = await client.servingEndpoints.query({
    name: 'chat', messages: [{ role: 'user', content: 'What is a penstock?' }], max_tokens: 4,
  });
  assert.equal(answer.choices.length, 1);
  assert.ok(answer.usage.completion_tokens >= 1);
});

// The figures of the last full minute, as text: the client hands out a stream.
test('metrics', async () => {
  const { contents } = await client.servingEndpoints.exportMetrics({ name: 'chat' });
  let text = '';
  for await (const piece of contents) text += Buffer.from(piece).toString();
  for (const name of ['request_count_total', 'provisioned_concurrent_requests_total', 'cpu_usage_percentage']) {
    assert.match(text, new RegExp(`^# TYPE ${name} gauge$`, 'm'));
    assert.match(text, new RegExp(`^${name}\\{endpoint_name="chat"\\} \\S+ \\d{13}$`, 'm'));
  }
});

test('an update: the old one serves, a second is refused, the new one takes over', async () => {
  const waiter = await client.servingEndpoints.updateConfig({
    name: 'chat', served_entities: [entity({ name: 'second', max_provisioned_throughput: 2000 })],
  });
  const done = await waiter.wait();
  assert.equal(done.config.config_version, 2);
  assert.equal(done.config.served_entities[0].name, 'second');
  assert.equal(done.config.served_entities[0].max_provisioned_throughput, 2000);
});

// This version of the client makes a body for PATCH and then does not send it: it is told what is missing.
// The body that it made, sent with the fields that it signs with, does what was meant.
test('tags: added, replaced, deleted', async () => {
  const change = { name: 'chat', add_tags: [{ key: 'stage', value: 'test' }, { key: 'team', value: 'ml' }] };
  await assert.rejects(client.servingEndpoints.patch(change),
    (error) => error.errorCode === 'INVALID_PARAMETER_VALUE' && error.statusCode === 400);

  const sent = [];
  const kept = client.apiClient.request.bind(client.apiClient);
  client.apiClient.request = async (options, ...rest) => {
    if (options.method !== 'PATCH') return kept(options, ...rest);
    sent.push(options);
    const headers = new Headers(options.headers);
    await client.apiClient.config.authenticate(headers);
    const { request } = await import('node:https');
    return new Promise((resolve, reject) => {
      const asked = request({ agent, method: 'PATCH', path: options.path, headers: Object.fromEntries(headers) },
        async (response) => {
          let text = '';
          for await (const piece of response) text += piece;
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(text));
        });
      asked.on('error', reject);
      asked.end(JSON.stringify(options.payload));
    });
  };
  const changed = await client.servingEndpoints.patch(change);
  assert.deepEqual(changed.tags, [{ key: 'stage', value: 'test' }, { key: 'team', value: 'ml' }]);
  const fewer = await client.servingEndpoints.patch({ name: 'chat', delete_tags: ['stage'] });
  assert.deepEqual(fewer.tags, [{ key: 'team', value: 'ml' }]);
  client.apiClient.request = kept;
  assert.equal(sent[0].path, '/api/2.0/serving-endpoints/chat/tags');
  const { tags } = await client.servingEndpoints.get({ name: 'chat' });
  assert.deepEqual(tags, [{ key: 'team', value: 'ml' }]);
});

test('logs and permissions', async () => {
  const { logs } = await client.servingEndpoints.logs({ name: 'chat', served_model_name: 'second' });
  assert.match(logs, /replica/);
  const { id } = await client.servingEndpoints.get({ name: 'chat' });
  const set = await client.servingEndpoints.setPermissions({
    serving_endpoint_id: id,
    access_control_list: [{ user_name: 'ann', permission_level: 'CAN_QUERY' }],
  });
  assert.equal(set.access_control_list[0].user_name, 'ann');
  const levels = await client.servingEndpoints.getPermissionLevels({ serving_endpoint_id: id });
  assert.equal(levels.permission_levels.length, 3);
});

test('errors carry the codes that the client knows', async () => {
  await assert.rejects(client.servingEndpoints.get({ name: 'none' }),
    (error) => error.errorCode === 'RESOURCE_DOES_NOT_EXIST' && error.statusCode === 404);
  await assert.rejects(client.servingEndpoints.create({
    name: 'bad', config: { served_entities: [entity({ min_provisioned_throughput: 5000 })] },
  }), (error) => error.errorCode === 'INVALID_PARAMETER_VALUE' &&
    /must not exceed/.test(error.message));
});

test('a model-unit endpoint', async () => {
  const waiter = await client.servingEndpoints.createProvisionedThroughputEndpoint({
    name: 'units',
    config: { served_entities: [{ entity_name: kModel, entity_version: '1',
      provisioned_model_units: 50 }] },
  });
  const ready = await waiter.wait();
  assert.equal(ready.config.served_entities[0].provisioned_model_units, 50);
});

// As its documentation creates one for OpenAI: the provider sees the key, nobody else does.
test('an endpoint with an external model', async (t) => {
  const seen = [];
  const provider = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    seen.push({ url: request.url, ...request.headers, model: body && JSON.parse(body).model });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ id: 'x', object: 'chat.completion', created: 1, model: 'gpt-4o-2024',
      choices: [{ index: 0, message: { role: 'assistant', content: 'A pipe.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }));
  });
  await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve));
  t.after(() => { provider.close(); provider.closeAllConnections(); });
  const external = (config, name = 'gpt-4o') => ({ external_model: {
    name, provider: 'openai', task: 'llm/v1/chat', openai_config: {
      openai_api_base: `http://127.0.0.1:${provider.address().port}/v1`, ...config } } });
  const waiter = await client.servingEndpoints.create({ name: 'far', config: { served_entities: [
    external({ openai_api_key_plaintext: 'sk-test-secret', openai_organization: 'org-1' }, 'gpt-4.1')] } });
  const ready = await waiter.wait();
  assert.equal(ready.task, 'llm/v1/chat');
  const [entity] = ready.config.served_entities;
  assert.equal(entity.name, 'gpt-4-1');
  assert.equal(entity.external_model.openai_config.openai_organization, 'org-1');
  assert.ok(!JSON.stringify(ready).includes('sk-test-secret'));

  const answer = await client.servingEndpoints.query({ name: 'far', messages: [{ role: 'user', content: 'hi' }] });
  assert.equal(answer.choices[0].message.content, 'A pipe.');
  const asked = seen.find(({ url }) => url === '/v1/chat/completions');
  assert.equal(asked.authorization, 'Bearer sk-test-secret');
  assert.equal(asked['openai-organization'], 'org-1');
  assert.equal(asked.model, 'gpt-4.1');

  const again = await client.servingEndpoints.updateConfig({ name: 'far', served_entities: [
    external({ openai_api_key_plaintext: 'sk-test-other' })] });
  await again.wait();
  await client.servingEndpoints.query({ name: 'far', messages: [{ role: 'user', content: 'hi' }] });
  assert.equal(seen.findLast(({ url }) => url === '/v1/chat/completions').authorization, 'Bearer sk-test-other');
  await assert.rejects(client.servingEndpoints.create({ name: 'other', config: { served_entities: [
    { external_model: { name: 'claude', provider: 'anthropic', task: 'llm/v1/chat',
      anthropic_config: { anthropic_api_key_plaintext: 'sk-test-third' } } }] } }),
  (error) => /openai, databricks-model-serving and custom/.test(error.message) && !/sk-test/.test(error.message));
  await client.servingEndpoints.delete({ name: 'far' });
});

test('deleted endpoints are gone', async () => {
  for (const name of ['chat', 'units']) await client.servingEndpoints.delete({ name });
  await assert.rejects(client.servingEndpoints.get({ name: 'chat' }));
});

// Seed 004, to the letter: an integer version, the header `Context-Type`, twice and three times the
// chunk.
test('the snippet of the documentation works with curl', async (t) => {
  const plain = await Server.start(t);
  await plain.call('POST', '/api/2.1/unity-catalog/models',
    { name: kModel, source: await synthesise('toy') });
  const versions = `/api/2.1/unity-catalog/models/${kModel}/versions`;
  for (let version = 2; version <= 3; ++version) {
    await plain.call('POST', versions, { source: await synthesise('toy') });
  }
  const curl = async (...words) => {
    const { stdout } = await promisify(execFile)('curl', ['-sS', '-H', 'Context-Type: text/json',
      '-H', `Authorization: Bearer ${plain.adminKey}`, ...words]);
    return JSON.parse(stdout);
  };
  const root = `${plain.url}/api/2.0/serving-endpoints`;
  const info = await curl(`${root}/get-model-optimization-info/${kModel}/3`);
  assert.equal(info.optimizable, true);
  const chunk = info.throughput_chunk_size;
  const created = await curl('-H', 'Content-Type: application/json', '-d', JSON.stringify({
    name: 'prov-throughput-endpoint',
    config: {
      served_entities: [{
        entity_name: kModel, entity_version: 3,
        min_provisioned_throughput: 2 * chunk, max_provisioned_throughput: 3 * chunk,
      }],
    },
  }), root);
  const pending = created.pending_config ?? created.config;
  assert.equal(pending.served_entities[0].entity_version, '3');
  assert.equal(pending.served_entities[0].max_provisioned_throughput, 3 * chunk);
  await until('it is ready', async () =>
    (await curl(`${root}/prov-throughput-endpoint`)).state.ready === 'READY');
});
