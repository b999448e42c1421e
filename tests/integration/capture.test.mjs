// What Databricks' clients say of an endpoint beside its configuration: the tables that requests and
// answers go to, telemetry, and how it is called.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, synthesise, until } from '../support/penstock.mjs';

const kEndpoint = '/api/2.0/serving-endpoints/toy';
const kTable = { catalog_name: 'main', schema_name: 'logs', table_name_prefix: 'toy' };

function payloadsOf(server) {
  const folder = join(server.dataDirectory, 'payloads');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true }).filter((name) => /\.jsonl?$/.test(name)).flatMap((name) =>
    readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)));
}

test('tables of requests and answers are written while they are enabled', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const ask = async (prompt) => {
    const { status } = await server.call('POST', '/v1/completions', { model: 'toy', prompt, max_tokens: 2 });
    assert.equal(status, 200);
  };
  const logged = (prompt) => payloadsOf(server).filter(({ request }) => request?.includes(prompt)).length;
  const gateway = (table) => server.call('PUT', `${kEndpoint}/ai-gateway`, { inference_table_config: table });

  await ask('before');
  const put = await gateway({ ...kTable, enabled: true });
  assert.equal(put.status, 200, put.text);
  assert.deepEqual(put.json.inference_table_config, { ...kTable, enabled: true });
  assert.deepEqual((await server.call('GET', kEndpoint)).json.ai_gateway.inference_table_config,
    { ...kTable, enabled: true });
  await until('a request is logged', async () => {
    await ask('within');
    return logged('within') > 0;
  });
  assert.equal(logged('before'), 0);

  const renamed = await gateway({ ...kTable, table_name_prefix: 'other', enabled: true });
  assert.equal(renamed.status, 400);
  assert.match(renamed.json.message, /table_name_prefix cannot change while the table is enabled/);
  const wrong = await gateway({ ...kTable, schema_name: 'a.b', enabled: true });
  assert.equal(wrong.status, 400);
  assert.match(wrong.json.message, /inference_table_config\.schema_name/);
  assert.equal((await gateway({ ...kTable, enabled: false })).status, 200);
  assert.equal((await gateway({ ...kTable, table_name_prefix: 'other', enabled: false })).status, 200);

  // The older way: a part of the configuration, in effect with it.
  const { json: { config } } = await server.call('GET', kEndpoint);
  const [{ entity_name, entity_version }] = config.served_entities;
  const changed = await server.call('PUT', `${kEndpoint}/config`, {
    served_entities: [{ entity_name, entity_version, min_provisioned_throughput: 100, max_provisioned_throughput: 1000 }],
    auto_capture_config: { ...kTable, enabled: true } });
  assert.equal(changed.status, 200, changed.text);
  await until('it is in effect', async () => {
    const { json } = await server.call('GET', kEndpoint);
    return json.config.auto_capture_config?.enabled && json.state.config_update === 'NOT_UPDATING';
  });
  await until('a request is logged again', async () => {
    await ask('captured');
    return logged('captured') > 0;
  });

  // Both outlive a restart.
  await server.stop();
  const again = await Server.start(t, { dataDirectory: server.dataDirectory });
  const { json } = await again.call('GET', kEndpoint);
  assert.deepEqual(json.config.auto_capture_config, { ...kTable, enabled: true });
  assert.equal(json.ai_gateway.inference_table_config.table_name_prefix, 'other');
});

test('telemetry is kept and given back', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const telemetry = { table_names: { logs_table: 'main.logs.toy' } };
  const patched = await server.call('PATCH', `${kEndpoint}/telemetry-config`, telemetry);
  assert.equal(patched.status, 200, patched.text);
  assert.deepEqual(patched.json.telemetry_config, telemetry);
  assert.equal(patched.json.name, 'toy');
  const wrapped = await server.call('PATCH', `${kEndpoint}/telemetry-config`, { telemetry_config: { a: 1 } });
  assert.deepEqual(wrapped.json.telemetry_config, { a: 1 });
  const removed = await server.call('PATCH', `${kEndpoint}/telemetry-config`, { telemetry_config: null });
  assert.equal(removed.json.telemetry_config, undefined);
  const nobody = await server.call('PATCH', '/api/2.0/serving-endpoints/none/telemetry-config', {});
  assert.equal(nobody.status, 404);
});

test('openapi tells how an endpoint is called', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const { status, json } = await server.call('GET', `${kEndpoint}/openapi`);
  assert.equal(status, 200);
  assert.equal(json.openapi, '3.1.0');
  assert.equal(json.servers[0].url, server.url);
  const { post } = json.paths['/serving-endpoints/toy/invocations'];
  const { schema } = post.requestBody.content['application/json'];
  const [required] = schema.required;
  assert.ok(Object.hasOwn(schema.properties, required), JSON.stringify(schema));
  assert.equal(schema.properties.max_tokens.type, 'integer');
  // It is true: what it says is accepted, and answered as it says.
  const body = { [required]: required === 'messages' ? [{ role: 'user', content: 'a' }] : 'a', max_tokens: 2 };
  const answer = await server.call('POST', '/serving-endpoints/toy/invocations', body);
  assert.equal(answer.status, 200, answer.text);
  const answered = post.responses['200'].content['application/json'].schema.properties;
  for (const name of Object.keys(answered)) assert.ok(Object.hasOwn(answer.json, name), name);
  assert.equal((await server.call('GET', '/api/2.0/serving-endpoints/none/openapi')).status, 404);
});
