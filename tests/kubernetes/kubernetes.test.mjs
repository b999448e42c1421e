// Replicas as pods of Deployments, against an API server that behaves as Kubernetes' own; its pods
// are real engines.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';
import { ApiServer } from './api_server.mjs';

const kEndpoints = '/api/2.0/serving-endpoints';
const kHolder = 'penstock.io/pool';

// What docs/operating.md's Role allows.
const kAllowed = ['get deployment', 'patch deployment', 'get scale', 'patch scale', 'patch pod', 'list endpointslices'];

async function startWorld(t, names = ['toy']) {
  const folder = temporaryFolder(t);
  const [keyFile, certificateFile] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-keyout', keyFile, '-out', certificateFile, '-days', '2', '-subj', '/CN=127.0.0.1',
    '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, 'first\n');
  const model = await synthesise('toy');
  const api = await ApiServer.start(t, { key: readFileSync(keyFile, 'utf8'),
    certificate: readFileSync(certificateFile, 'utf8'), model, token: 'first', names });
  const flags = ['--fleet', 'kubernetes', '--kubernetes-url', `https://127.0.0.1:${api.port}`,
    '--kubernetes-namespace', 'ml', '--kubernetes-token-file', tokenFile, '--kubernetes-ca-file', certificateFile,
    ...names.flatMap((name) => ['--kubernetes-deployment', `main.test.toy=${name}:http`])];
  return { api, flags, model, tokenFile, certificateFile };
}

async function register(server, model) {
  const made = await server.call('POST', '/api/2.1/unity-catalog/models', { name: 'main.test.toy', source: model });
  assert.equal(made.status, 200, made.text);
}
const create = (server, name, range = {}) => server.call('POST', kEndpoints, { name,
  config: { served_entities: [{ entity_name: 'main.test.toy', entity_version: '1', ...range }] } });
const complete = (server, name = 'toy') => server.call('POST', '/v1/completions',
  { model: name, prompt: 'a', max_tokens: 2 });
const serves = (server, name) => until(`${name} answers`, async () => (await complete(server, name)).status === 200);

test('pods of a Deployment: started through faults, served, replaced, taken up again, given back', async (t) => {
  const { api, flags, model, tokenFile } = await startWorld(t);
  const dataDirectory = temporaryFolder(t);
  const first = await Server.start(t, { dataDirectory, flags });
  await register(first, model);
  api.inject('patch', 'deployment', 409);
  api.inject('patch', 'scale', 409, { times: 2 });
  api.inject('get', 'scale', 500);
  api.inject('list', 'endpointslices', 429, { headers: { 'retry-after': '1' } });
  api.inject('list', 'endpointslices', 0, { delay: 700 });
  assert.equal((await create(first, 'toy')).status, 200);
  await first.endpointReady('toy');
  await serves(first);
  assert.equal(api.living('toy').length, 1);
  assert.match(api.deployments.get('toy').annotations[kHolder], /^[0-9a-f]{8}-[0-9a-f]{16}$/);

  // A pod dies: the Deployment makes another, which takes its place. Nobody scales for that.
  const patches = api.patches;
  const [dead] = api.living('toy');
  dead.process.kill('SIGKILL');
  await until('another pod', () => api.living('toy').some((pod) => pod !== dead && pod.ready));
  await serves(first);
  assert.equal(api.patches, patches);

  // Somebody else scales: it is set right.
  api.deployments.get('toy').replicas = 3;
  await until('one pod again', () => api.deployments.get('toy').replicas === 1 && api.pods('toy').length === 1);
  await serves(first);

  // The token is exchanged; then the server is away for a while. Requests go on.
  api.token = 'second';
  writeFileSync(tokenFile, 'second\n');
  await api.outage();
  for (let i = 0; i < 5; ++i) assert.equal((await complete(first)).status, 200);
  await api.listen();

  // Ours is killed: the next one takes up what runs.
  const [living] = api.living('toy');
  await first.kill();
  const second = await Server.start(t, { dataDirectory, flags });
  await second.endpointReady('toy');
  assert.equal((await complete(second)).status, 200);
  assert.deepEqual(api.living('toy').map(({ name }) => name), [living.name]);

  await second.call('DELETE', `${kEndpoints}/toy`);
  await until('no pod is left', () => api.pods('toy').length === 0);
  await until('the Deployment is free', () => api.deployments.get('toy').annotations[kHolder] === undefined);
  for (const call of api.calls) assert.ok(kAllowed.includes(call), call);
});

test('two replicas: pages, a stale page, and the drained pod is the one that goes', async (t) => {
  const { api, flags, model } = await startWorld(t);
  const server = await Server.start(t, { flags });
  await register(server, model);
  const calibrated = await run(['model', 'calibrate', 'main.test.toy', '--length', 'quick', '--data-dir', server.dataDirectory]);
  assert.equal(calibrated.code, 0, calibrated.stderr);
  const { json: { throughput_chunk_size: chunk } } = await server.call(
    'GET', `${kEndpoints}/get-model-optimization-info/main.test.toy/1`);
  // As many chunks as one replica may promise need another for one more.
  let chunks = 1;
  const range = (count) => ({ min_provisioned_throughput: count * chunk, max_provisioned_throughput: count * chunk });
  assert.equal((await create(server, 'toy', range(chunks))).status, 200);
  await server.endpointReady('toy');
  while (api.deployments.get('toy').replicas < 2) {
    ++chunks;
    assert.ok(chunks < 100);
    const changed = await server.call('PUT', `${kEndpoints}/toy/config`, { served_entities: [{
      entity_name: 'main.test.toy', entity_version: '1', ...range(chunks) }] });
    assert.equal(changed.status, 200, changed.text);
    await until('updated', async () =>
      (await server.call('GET', `${kEndpoints}/toy`)).json.state.config_update === 'NOT_UPDATING');
  }
  await until('two pods', () => api.living('toy').filter(({ ready }) => ready).length === 2);
  api.inject('list', 'endpointslices', 410, { onContinue: true, times: 1 });
  const ready = async () => (await server.call('GET', `${kEndpoints}/toy`)).json.config.served_entities[0].replicas_ready;
  await until('two replicas', async () => await ready() === 2);
  await serves(server);

  // Down to one: what the controller chooses is what was drained, so no request fails meanwhile.
  const [, younger] = api.living('toy');
  const marked = until('a pod is marked', () => api.pods('toy').find(({ cost }) => cost < 0));
  const changed = await server.call('PUT', `${kEndpoints}/toy/config`, { served_entities: [{
    entity_name: 'main.test.toy', entity_version: '1', ...range(1) }] });
  assert.equal(changed.status, 200, changed.text);
  const failures = [];
  let done = false;
  const asking = (async () => {
    while (!done) {
      const { status, text } = await complete(server);
      if (status !== 200) failures.push(`${status} ${text}`);
    }
  })();
  // Without load the autoscaler keeps what it has for a while: the ceiling takes it down at once.
  const chosen = await marked;
  await until('one pod', () => api.pods('toy').length === 1);
  done = true;
  await asking;
  assert.notEqual(api.pods('toy')[0].name, chosen.name);
  assert.ok(younger);
  assert.deepEqual(failures, []);
});

test('another server\'s Deployment is left alone, and an unknown model is said', async (t) => {
  const { api, flags, model } = await startWorld(t);
  api.deployments.get('toy').annotations[kHolder] = 'ffffffff-0123456789abcdef';
  const server = await Server.start(t, { flags });
  await register(server, model);
  assert.equal((await create(server, 'toy')).status, 200);
  const message = await until('it says why', async () => {
    const { json } = await server.call('GET', `${kEndpoints}/toy`);
    const state = json.pending_config.served_entities[0].state.deployment_state_message;
    return /belongs to ffffffff-0123456789abcdef/.test(state) && state;
  });
  assert.match(message, /penstock\.io\/pool/);
  assert.equal(api.patches, 0);
  assert.equal(api.deployments.get('toy').annotations[kHolder], 'ffffffff-0123456789abcdef');
});

test('a certificate that is not trusted, a wrong token, and no address are start errors or said', async (t) => {
  const { flags } = await startWorld(t);
  const untrusted = await run(['serve', '--data-dir', temporaryFolder(t), '--listen', '127.0.0.1:0',
    ...flags.filter((_, i) => flags[i - 1] !== '--kubernetes-ca-file' && flags[i] !== '--kubernetes-ca-file')]);
  assert.equal(untrusted.code, 2);
  assert.match(untrusted.stderr, /certificate/);
  const nowhere = await run(['serve', '--data-dir', temporaryFolder(t), '--fleet', 'kubernetes',
    '--kubernetes-deployment', 'main.test.toy=toy']);
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.stderr, /--kubernetes-url/);
});
