// Penstock's metrics as Azure Monitor's own client reads them, over TLS, which it insists on.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';

import { MonitorClient } from '@azure/arm-monitor';

import { Server, temporaryFolder, until } from '../support/penstock.mjs';

const kResource = '/subscriptions/s1/resourceGroups/g1/providers/Microsoft.CognitiveServices/accounts/a1';

// A model server that answers every request with the same usage.
async function modelServer(t) {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify({
      choices: [{ index: 0, message: { content: 'hello' } }],
      usage: { prompt_tokens: 1000, completion_tokens: 50, total_tokens: 1050,
        prompt_tokens_details: { cached_tokens: 200 } },
    })));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

// TLS in front of the server, as an operator would put it.
async function tlsFront(t, target) {
  const folder = temporaryFolder(t);
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-keyout', key, '-out', certificate, '-days', '1', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  const options = { key: readFileSync(key), cert: readFileSync(certificate) };
  const front = https.createServer(options, (request, response) => {
    const inner = http.request(target + request.url,  // It may begin with two slashes.

      { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
    request.pipe(inner);
  });
  await new Promise((done) => front.listen(0, '127.0.0.1', done));
  t.after(() => { front.close(); front.closeAllConnections(); });
  https.globalAgent.options.ca = options.cert;
  return `https://localhost:${front.address().port}`;
}

test('@azure/arm-monitor reads the metrics of an endpoint', async (t) => {
  const flags = [`--static-endpoint=chat=${await modelServer(t)}`];
  const server = await Server.start(t, { flags });
  const url = await tlsFront(t, server.url);
  const credential = { getToken: async () => ({ token: server.adminKey, expiresOnTimestamp: Date.now() + 3600e3 }) };
  const client = new MonitorClient(credential, 's1', {
    endpoint: url,
    tlsOptions: { ca: https.globalAgent.options.ca },
  });

  const began = new Date();
  for (let i = 0; i < 3; ++i) {
    const { status } = await server.call('POST', '/v1/chat/completions',
      { model: 'chat', messages: [{ role: 'user', content: 'hi' }] });
    assert.equal(status, 200);
  }
  const timespan = () =>
    `${began.toISOString().slice(0, 17)}00Z/${new Date(Date.now() + 60e3).toISOString()}`;
  const list = (metricnames, more) =>
    client.metrics.list(kResource, { timespan: timespan(), interval: 'PT1M', metricnames, ...more });
  const totalOf = (answer, field = 'total') => answer.value[0].timeseries
    .flatMap((series) => series.data.map((point) => point[field] ?? 0)).reduce((sum, value) => sum + value, 0);

  await until('the requests are counted', async () =>
    totalOf(await list('AzureOpenAIRequests', { aggregation: 'Total' })) === 3);
  const tokens = await list('ProcessedPromptTokens', { aggregation: 'Total,Maximum' });
  assert.equal(totalOf(tokens), 3000);
  assert.equal(tokens.value[0].unit, 'Count');
  assert.equal(tokens.value[0].name.localizedValue, 'Processed Prompt Tokens');
  assert.equal(tokens.interval, 'PT1M');
  const active = await list('ActiveTokens', { aggregation: 'Total' });
  assert.equal(totalOf(active), 3 * (1050 - 200));

  const split = await list('AzureOpenAIRequests', {
    aggregation: 'Total', filter: "ModelDeploymentName eq '*' and StatusCode eq '200'",
  });
  assert.deepEqual(
    split.value[0].timeseries[0].metadatavalues.map(({ name, value }) => [name.value, value]),
    [['modeldeploymentname', 'chat'], ['statuscode', '200']]);
  const latency = await list('AzureOpenAITimeToResponse', { aggregation: 'Average,Minimum,Maximum' });
  const point = latency.value[0].timeseries[0].data.find((each) => each.average !== undefined);
  assert.ok(point.minimum <= point.average && point.average <= point.maximum && point.minimum > 0);
  assert.ok(point.timeStamp instanceof Date);

  const names = [];
  for await (const definition of client.metricDefinitions.list(kResource)) names.push(definition.name.value);
  assert.ok(names.includes('AzureOpenAIProvisionedManagedUtilizationV2'));

  await assert.rejects(list('Nonsense', {}), (error) => error.statusCode === 400 && /no metric 'Nonsense'/.test(error.message));
  await assert.rejects(list('ActiveTokens', { filter: "StatusCode eq '200'" }), /has no dimension/);
});
