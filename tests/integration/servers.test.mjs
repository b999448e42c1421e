// Servers that somebody else runs: static URLs that are asked whether they are well, and external
// models that are called with a key of their own. The other server is a real one each time.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, kProgram, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';
import { startTlsServer } from '../compat/tls.mjs';

const kEndpoints = '/api/2.0/serving-endpoints';
const kModels = '/api/2.1/unity-catalog/models';

// A real engine on a port that is known before.
async function startEngine(t, port, model) {
  const child = spawn(kProgram, ['engine', '--model', model, '--model-name', 'static', '--listen',
    `127.0.0.1:${port}`], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  t.after(() => child.kill('SIGKILL'));
  await until('the engine is well', () =>
    fetch(`http://127.0.0.1:${port}/health`).then(({ ok }) => ok, () => false));
  return { child, kill: () => { child.kill('SIGKILL'); return ended; } };
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

test('a static server that dies leaves the routing and comes back', async (t) => {
  const model = await synthesise('toy');
  const ports = [await freePort(), await freePort()];
  const [first, second] = [await startEngine(t, ports[0], model), await startEngine(t, ports[1], model)];
  const server = await Server.start(t, { flags: ['--static-endpoint',
    `static=${ports.map((port) => `http://127.0.0.1:${port}`).join(',')}`] });
  const ask = async () => (await server.call('POST', '/v1/completions',
    { model: 'static', prompt: 'a', max_tokens: 2 })).status;
  const up = (port) => server.metric('penstock_static_server_up', { address: `127.0.0.1:${port}` });
  assert.equal(await ask(), 200);
  assert.equal(await up(ports[0]) + await up(ports[1]), 2);

  await first.kill();
  await until('the dead one is out', async () => await up(ports[0]) === 0);
  for (let i = 0; i < 6; ++i) assert.equal(await ask(), 200);
  await second.kill();
  await until('both are out', async () => await up(ports[1]) === 0);
  assert.equal(await ask(), 503);
  await startEngine(t, ports[0], model);
  await until('one is back', async () => await up(ports[0]) === 1);
  assert.equal(await ask(), 200);
});

test('where a server has no /health, /v1/models is asked; and any path that is named', async (t) => {
  let models = 200;
  const seen = new Set();
  const other = createServer((request, response) => {
    seen.add(request.url);
    response.statusCode = request.url === '/v1/models' || request.url === '/well' ? models : 404;
    response.end('{"object":"list","data":[]}');
  });
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => other.close());
  const url = `http://127.0.0.1:${other.address().port}`;
  const server = await Server.start(t, { flags: ['--static-endpoint', `other=${url}`] });
  const up = (each) => each.metric('penstock_static_server_up', { endpoint: 'other' });
  await until('it is asked', () => seen.has('/v1/models'));
  models = 500;
  await until('it is out', async () => await up(server) === 0);
  models = 200;
  await until('it is back', async () => await up(server) === 1);
  const named = await Server.start(t, { flags: ['--static-endpoint', `other=${url}`, '--static-health-path', '/well'] });
  await until('the named path is asked', () => seen.has('/well'));
  assert.equal(await up(named), 1);
});

// A second Penstock, over TLS, with an endpoint, is the provider.
async function startProvider(t) {
  const { server, ca, agent } = await startTlsServer(t);
  const { request } = await import('node:https');
  const call = (method, path, body) => new Promise((resolve, reject) => {
    const sent = request({ agent, method, path, headers: { authorization: `Bearer ${server.adminKey}`,
      'content-type': 'application/json' } }, async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      resolve({ status: response.statusCode, text, json: text.startsWith('{') ? JSON.parse(text) : undefined });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
  await call('POST', kModels, { name: 'main.test.far', source: await synthesise('toy') });
  const made = await call('POST', kEndpoints, { name: 'far-model',
    config: { served_entities: [{ entity_name: 'main.test.far', entity_version: '1' }] } });
  assert.equal(made.status, 200, made.text);
  await until('the provider is ready', async () =>
    (await call('GET', `${kEndpoints}/far-model`)).json.state.ready === 'READY');
  const caFile = join(temporaryFolder(t), 'ca.pem');
  writeFileSync(caFile, ca);
  return { server, caFile, call };
}

const external = (url, key) => ({ name: 'far-model', provider: 'custom', task: 'llm/v1/completions',
  custom_provider_config: { custom_provider_url: url, bearer_token_auth: { token_plaintext: key } } });
const serve = (server, name) => server.call('POST', kEndpoints, { name,
  config: { served_entities: [{ entity_name: `main.test.${name}`, entity_version: '1' }] } });

test('an external model is called over TLS, under its own name, with a key that nobody sees', async (t) => {
  const provider = await startProvider(t);
  const near = await Server.start(t, { flags: ['--external-ca-file', provider.caFile] });
  const url = `https://127.0.0.1:${provider.server.port}/v1`;
  const key = provider.server.adminKey;
  const made = await near.call('POST', kModels, { name: 'main.test.near', external_model: external(url, key) });
  assert.equal(made.status, 200, made.text);
  const ranged = await near.call('POST', kEndpoints, { name: 'ranged', config: { served_entities: [{
    entity_name: 'main.test.near', entity_version: '1', min_provisioned_throughput: 10, max_provisioned_throughput: 10 }] } });
  assert.equal(ranged.status, 400);
  assert.match(ranged.text, /cannot be promised: main\.test\.near is an external model/);
  assert.equal((await serve(near, 'near')).status, 200);
  await near.endpointReady('near');
  const plain = await near.call('POST', '/v1/completions', { model: 'near', prompt: 'a', max_tokens: 3 });
  assert.equal(plain.status, 200, plain.text);
  assert.equal(plain.json.usage.completion_tokens, 3);
  const streamed = await near.call('POST', '/v1/completions', { model: 'near', prompt: 'a', max_tokens: 3, stream: true });
  assert.match(streamed.text, /^data: \{/);
  assert.match(streamed.text, /data: \[DONE\]\n\n$/);
  const wrong = await near.call('POST', '/v1/completions', { model: 'near', prompt: 'a', temperature: 99 });
  assert.equal(wrong.status, 400);

  // Kept for its owner alone, and shown nowhere.
  const secrets = join(near.dataDirectory, 'secrets');
  assert.equal(statSync(secrets).mode & 0o777, 0o700);
  const files = readdirSync(secrets);
  assert.equal(files.length, 1);
  assert.equal(statSync(join(secrets, files[0])).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(secrets, files[0]), 'utf8'), key);
  const secret = key.slice(-20);
  for (const path of [`${kModels}/main.test.near`, `${kModels}/main.test.near/versions`, `${kEndpoints}/near`,
    `${kEndpoints}/near/served-models/main.test.near-1/logs`, `${kEndpoints}/near/events`]) {
    const { status, text } = await near.call('GET', path);
    assert.equal(status, 200, path);
    assert.ok(!text.includes(secret), path);
  }
  assert.ok(!near.log.includes(secret));
  for (const id of near.engines()) {
    assert.ok(!readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(secret));
  }

  // The provider goes: it is said; it comes back: so does the endpoint.
  await near.call('DELETE', `${kEndpoints}/near`);
  const removed = await near.call('DELETE', `${kModels}/main.test.near`);
  assert.equal(removed.status, 200, removed.text);
  assert.deepEqual(readdirSync(secrets), []);
});

// Of an endpoint itself, beside a model of ours; then an Azure deployment in its place: the provider
// speaks that, too.
test('a served entity\'s own external model shares traffic; its key comes and goes with it', async (t) => {
  const provider = await startProvider(t);
  const near = await Server.start(t, { flags: ['--external-ca-file', provider.caFile] });
  const base = `https://127.0.0.1:${provider.server.port}`;
  const key = provider.server.adminKey;
  const secrets = join(near.dataDirectory, 'secrets');
  const registered = await near.call('POST', kModels,
    { name: 'main.test.own', source: await synthesise('toy'), task: 'llm/v1/completions' });
  assert.equal(registered.status, 200, registered.text);
  const own = { name: 'own', entity_name: 'main.test.own', entity_version: '1' };
  const made = await near.call('POST', kEndpoints, { name: 'both', config: {
    served_entities: [own, { external_model: external(`${base}/v1`, key) }],
    traffic_config: { routes: [{ served_entity_name: 'own', traffic_percentage: 50 },
      { served_entity_name: 'far-model', traffic_percentage: 50 }] } } });
  assert.equal(made.status, 200, made.text);
  await near.endpointReady('both');
  const served = new Set();
  const ask = async (prompt) => {
    const answer = await near.call('POST', '/serving-endpoints/both/invocations', { prompt, max_tokens: 2 });
    assert.equal(answer.status, 200, answer.text);
    served.add(answer.headers.get('served-model-name'));
  };
  for (let i = 0; i < 40 && served.size < 2; ++i) await ask(`a${i}`);
  assert.deepEqual([...served].sort(), ['far-model', 'own']);

  const files = readdirSync(secrets);
  assert.equal(files.length, 1);
  assert.equal(statSync(join(secrets, files[0])).mode & 0o777, 0o600);
  const secret = key.slice(-20);
  for (const path of [kEndpoints, `${kEndpoints}/both`, `${kEndpoints}/both/events`,
    `${kEndpoints}/both/served-models/far-model/logs`, `${kEndpoints}/both/served-models/far-model/build-logs`]) {
    const { status, text } = await near.call('GET', path);
    assert.equal(status, 200, path);
    assert.ok(!text.includes(secret), path);
  }
  assert.ok(!near.log.includes(secret));
  for (const file of ['penstock.db', 'penstock.db-wal']) {
    assert.ok(!readFileSync(join(near.dataDirectory, file)).includes(secret), file);
  }
  for (const id of near.engines()) assert.ok(!readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(secret));

  // The operator's file in place of a key in the request.
  mkdirSync(join(secrets, 'team'), { mode: 0o700 });
  writeFileSync(join(secrets, 'team/azure'), `${key}\n`, { mode: 0o600 });
  const changed = await near.call('PUT', `${kEndpoints}/both/config`, { served_entities: [{ name: 'azure',
    external_model: { name: 'far-model', provider: 'openai', task: 'llm/v1/completions', openai_config: {
      openai_api_type: 'azure', openai_api_base: base, openai_deployment_name: 'far-model',
      openai_api_version: '2024-10-21', openai_api_key: '{{secrets/team/azure}}' } } }] });
  assert.equal(changed.status, 200, changed.text);
  await until('the update is in effect', async () =>
    (await near.call('GET', `${kEndpoints}/both`)).json.state.config_update === 'NOT_UPDATING');
  assert.deepEqual(readdirSync(secrets), ['team']);
  served.clear();
  await ask('b');
  assert.deepEqual([...served], ['azure']);
  await near.call('DELETE', `${kEndpoints}/both`);
  assert.deepEqual(readdirSync(join(secrets, 'team')), ['azure']);
});

test('a restart finds the keys that are used, and removes those that nobody came to store', async (t) => {
  const first = await Server.start(t);
  const secrets = join(first.dataDirectory, 'secrets');
  await first.call('POST', kModels, { name: 'main.test.m', external_model: external('http://127.0.0.1:1/v1', 'sk-of-model') });
  await first.call('POST', kEndpoints, { name: 'far', config: { served_entities: [
    { external_model: external('http://127.0.0.1:1/v1', 'sk-of-endpoint') }] } });
  const used = readdirSync(secrets).sort();
  assert.equal(used.length, 2);
  await first.kill();
  writeFileSync(join(secrets, '0123456789abcdef01234567'), 'sk-of-nobody', { mode: 0o600 });
  writeFileSync(join(secrets, '0123456789abcdef01234567.new'), 'sk-of-nobody', { mode: 0o600 });
  const second = await Server.start(t, { dataDirectory: first.dataDirectory });
  assert.deepEqual(readdirSync(secrets).sort(), used);
  assert.equal((await second.call('DELETE', `${kEndpoints}/far`)).status, 200);
  assert.equal(readdirSync(secrets).length, 1);
});

test('a relay runs beside the server, whatever runs the models', async (t) => {
  const provider = await startProvider(t);
  const hook = join(temporaryFolder(t), 'hook');
  writeFileSync(hook, '#!/bin/sh\n[ "$1" = list ] && exit 0\necho "no machine is free" >&2; exit 1\n', { mode: 0o700 });
  const near = await Server.start(t, { flags: ['--external-ca-file', provider.caFile, '--fleet', 'exec', '--fleet-hook', hook] });
  const made = await near.call('POST', kEndpoints, { name: 'far', config: { served_entities: [{ external_model:
    external(`https://127.0.0.1:${provider.server.port}/v1`, provider.server.adminKey) }] } });
  assert.equal(made.status, 200, made.text);
  await near.endpointReady('far');
  const answer = await near.call('POST', '/v1/completions', { model: 'far', prompt: 'a', max_tokens: 2 });
  assert.equal(answer.status, 200, answer.text);
});

test('a wrong key and a certificate that nobody vouches for are said, and not served', async (t) => {
  const provider = await startProvider(t);
  const url = `https://127.0.0.1:${provider.server.port}/v1`;
  const near = await Server.start(t, { flags: ['--external-ca-file', provider.caFile] });
  await near.call('POST', kModels, { name: 'main.test.wrong', external_model: external(url, 'sk-wrong') });
  await serve(near, 'wrong');
  await until('the key is refused', async () => /refuses the key/.test(
    (await near.call('GET', `${kEndpoints}/wrong/served-models/main.test.wrong-1/logs`)).text));
  assert.equal((await near.call('GET', `${kEndpoints}/wrong`)).json.state.ready, 'NOT_READY');

  const strict = await Server.start(t);
  await strict.call('POST', kModels, { name: 'main.test.strict',
    external_model: external(url, provider.server.adminKey) });
  await serve(strict, 'strict');
  await until('the certificate is refused', async () => /certificate/.test(
    (await strict.call('GET', `${kEndpoints}/strict/served-models/main.test.strict-1/logs`)).text));
  assert.equal((await strict.call('GET', `${kEndpoints}/strict`)).json.state.ready, 'NOT_READY');
});

test('a relay asks for what it needs', async () => {
  const { code, stderr } = await run(['relay', '--upstream', 'http://127.0.0.1:1/v1']);
  assert.equal(code, 2);
  assert.match(stderr, /--model/);
  const open = await run(['relay', '--upstream', 'http://127.0.0.1:1/v1', '--model', 'm', '--listen', '0.0.0.0:0']);
  assert.equal(open.code, 2);
  assert.match(open.stderr, /loopback/);
});
