// Penstock as Azure's own client of the management plane sees it, over TLS.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CognitiveServicesManagementClient } from '@azure/arm-cognitiveservices';

import { synthesise } from '../support/penstock.mjs';
import { startTlsServer } from './tls.mjs';

const kPlace = ['group', 'account'];
const afters = [];
let client;

before(async () => {
  const { server, ca, agent } = await startTlsServer({ after: (end) => afters.push(end) });
  const credential = {
    getToken: async () => ({ token: server.adminKey, expiresOnTimestamp: Date.now() + 3600_000 }),
  };
  client = new CognitiveServicesManagementClient(credential, 'subscription', {
    endpoint: `https://127.0.0.1:${server.port}`, tlsOptions: { ca }, retryOptions: { maxRetries: 0 },
  });
  const { request } = await import('node:https');
  const body = JSON.stringify({ name: 'main.models.tiny', source: await synthesise('toy') });
  await new Promise((resolve, reject) => {
    const sent = request({ agent, method: 'POST', path: '/api/2.1/unity-catalog/models',
      headers: { authorization: `Bearer ${server.adminKey}`, 'content-type': 'application/json' } },
    (response) => response.resume().on('end', resolve));
    sent.on('error', reject).end(body);
  });
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

const deployment = (sku, capacity) => ({
  sku: { name: sku, capacity },
  properties: { model: { format: 'OpenAI', name: 'tiny', version: '1' } },
});

test('a provisioned deployment: create and wait, get, scale, list, delete', async () => {
  const made = await client.deployments.beginCreateOrUpdateAndWait(
    ...kPlace, 'ptu', deployment('ProvisionedManaged', 50), { updateIntervalInMs: 100 });
  assert.equal(made.properties.provisioningState, 'Succeeded');
  assert.equal(made.sku.capacity, 50);
  const got = await client.deployments.get(...kPlace, 'ptu');
  assert.equal(got.properties.model.name, 'tiny');
  assert.match(got.id, /\/accounts\/account\/deployments\/ptu$/);

  const scaled = await client.deployments.beginUpdateAndWait(
    ...kPlace, 'ptu', { sku: { name: 'ProvisionedManaged', capacity: 100 } },
    { updateIntervalInMs: 100 });
  assert.equal(scaled.sku.capacity, 100);
  assert.equal(scaled.properties.provisioningState, 'Succeeded');  // It was waited for.

  const names = [];
  for await (const each of client.deployments.list(...kPlace)) names.push(each.name);
  assert.deepEqual(names, ['ptu']);
  const skus = [];
  for await (const each of client.deployments.listSkus(...kPlace, 'ptu')) skus.push(each.sku.name);
  assert.deepEqual(skus, ['ProvisionedManaged']);
});

// As ARM has it: PUT replaces tags as a whole, and what a field may be is said.
test('tags are replaced, and wrong ones refused', async () => {
  const put = (tags, properties = {}) => client.deployments.beginCreateOrUpdateAndWait(...kPlace, 'tagged', {
    ...deployment('Standard', 1), tags, properties: { ...deployment('Standard', 1).properties, ...properties } },
  { updateIntervalInMs: 100 });
  assert.deepEqual((await put({ team: 'a', stage: 'test' })).tags, { team: 'a', stage: 'test' });
  assert.deepEqual((await put({ team: 'b' })).tags, { team: 'b' });
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`t${i}`, 'x']));
  await assert.rejects(put(many), (error) => error.statusCode === 400 && /20/.test(error.message));
  await assert.rejects(put({}, { versionUpgradeOption: 'Sometimes' }),
    (error) => error.statusCode === 400 && /NoAutoUpgrade/.test(error.message));
  await client.deployments.beginDeleteAndWait(...kPlace, 'tagged');
});

test('names with dots', async () => {
  const made = await client.deployments.beginCreateOrUpdateAndWait(
    ...kPlace, 'gpt-4.1-mini', deployment('Standard', 1), { updateIntervalInMs: 100 });
  assert.equal(made.name, 'gpt-4.1-mini');
  assert.equal(made.properties.provisioningState, 'Succeeded');
  await client.deployments.beginDeleteAndWait(...kPlace, 'gpt-4.1-mini');
});

test('a standard deployment has a quota', async () => {
  const made = await client.deployments.beginCreateOrUpdateAndWait(
    ...kPlace, 'standard', deployment('Standard', 240), { updateIntervalInMs: 100 });
  const limits = Object.fromEntries(made.properties.rateLimits.map((each) => [each.key, each]));
  assert.equal(limits.token.count, 240_000);
  assert.equal(limits.token.renewalPeriod, 60);
  const usages = [];
  for await (const each of client.usages.list('local')) usages.push(each);
  assert.equal(usages.find((each) => each.name.value === 'OpenAI.Standard').currentValue, 240);
  const capacities = [];
  for await (const each of client.modelCapacities.list('OpenAI', 'tiny', '1')) capacities.push(each);
  assert.deepEqual(capacities.map((each) => each.properties.skuName),
    ['Standard', 'ProvisionedManaged']);
  assert.ok(capacities[1].properties.availableCapacity >= 0);
});

test('calculateModelCapacity gives the published examples', async () => {
  for (const [requestPerMinute, avgPromptTokens, avgGeneratedTokens, deployable] of
    [[30, 800, 150, 15], [1000, 5000, 50, 140], [500, 1000, 300, 30]]) {
    const { estimatedCapacity } = await client.calculateModelCapacity({
      model: { format: 'OpenAI', name: 'gpt-4o-mini', version: '2024-07-18' },
      skuName: 'GlobalProvisionedManaged',
      workloads: [{ requestPerMinute, requestParameters: { avgPromptTokens, avgGeneratedTokens } }],
    });
    assert.equal(estimatedCapacity.deployableValue, deployable);
    assert.ok(estimatedCapacity.value <= deployable);
  }
});

test('errors are Azure\'s', async () => {
  await assert.rejects(client.deployments.get(...kPlace, 'none'),
    (error) => error.statusCode === 404);
  await assert.rejects(
    client.deployments.beginCreateOrUpdateAndWait(...kPlace, 'x', deployment('Premium', 1)),
    (error) => error.statusCode === 400 && error.code === 'InvalidRequest');
  await assert.rejects(
    client.deployments.beginCreateOrUpdateAndWait(...kPlace, 'x', deployment('Standard', 999_900)),
    (error) => error.statusCode === 400 && error.code === 'InsufficientQuota');
});

test('deleted deployments are gone, and deleting again is no error', async () => {
  for (const name of ['ptu', 'standard', 'standard']) {
    await client.deployments.beginDeleteAndWait(...kPlace, name, { updateIntervalInMs: 100 });
  }
  const names = [];
  for await (const each of client.deployments.list(...kPlace)) names.push(each.name);
  assert.deepEqual(names, []);
});
