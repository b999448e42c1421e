// Calibration with a real engine: what it finds is what is sold, and is found once.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const kInfo = '/api/2.0/serving-endpoints/get-model-optimization-info/main.test.toy/1';

async function register(server, file) {
  const made = await run(['model', 'register', 'main.test.toy', '--file', file, '--data-dir', server.dataDirectory]);
  assert.equal(made.code, 0, made.stderr);
}

function createEndpoint(server, name, minimum, maximum) {
  return server.call('POST', '/api/2.0/serving-endpoints', {
    name,
    config: { served_entities: [{ entity_name: 'main.test.toy', entity_version: 1,
      min_provisioned_throughput: minimum, max_provisioned_throughput: maximum }] },
  });
}

test('calibrate measures, keeps, shows, and decides what may be provisioned', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '4'] });
  await register(server, await synthesise('toy'));
  assert.equal((await server.call('GET', kInfo)).json.throughput_chunk_size, 1);
  const flags = ['--data-dir', server.dataDirectory];
  const measured = await run(['model', 'calibrate', 'main.test.toy', '--length', 'quick', '--json', ...flags],
    { seconds: 240 });
  assert.equal(measured.code, 0, measured.stderr);
  const { calibration, report_path: report } = JSON.parse(measured.stdout);
  assert.ok(calibration.curve.length >= 2);
  assert.equal(calibration.curve[0].concurrency, 1);
  assert.equal(calibration.mode, 'quick');
  assert.ok(calibration.cost_per_s > 0 && calibration.output_weight >= 1);
  for (const point of calibration.curve) {
    assert.ok(Math.abs(point.output_tokens - 32) < 1, `${point.output_tokens} output tokens`);
  }
  assert.match(readFileSync(report, 'utf8'), /<svg/);

  const { json: info } = await server.call('GET', kInfo);
  const chunk = info.throughput_chunk_size;
  assert.equal(chunk, calibration.throughput_chunk_size);
  assert.ok(chunk > 1);
  const odd = await createEndpoint(server, 'odd', chunk, 2 * chunk + 1);
  assert.equal(odd.status, 400);
  assert.equal(odd.json.error_code, 'INVALID_PARAMETER_VALUE');
  assert.match(odd.json.message, new RegExp(`the nearest are ${2 * chunk} and ${3 * chunk}`));
  // The seed's own script: twice and three times the chunk.
  const good = await createEndpoint(server, 'good', 2 * chunk, 3 * chunk);
  assert.equal(good.status, 200, good.text);

  const shown = await run(['model', 'show', 'main.test.toy', '--curve', ...flags]);
  assert.match(shown.stdout, /CONCURRENCY +TOKENS\/S/);
  assert.match(shown.stdout, new RegExp(`chunk +${chunk} tokens/s`));
  assert.match(shown.stdout, /from shorter requests/);

  await server.stop();
  const again = await Server.start(t, { dataDirectory: server.dataDirectory, flags: ['--engine-parallel', '4'] });
  assert.equal((await again.call('GET', kInfo)).json.throughput_chunk_size, chunk);
  await again.stop();
  // Other settings are other hardware.
  const other = await Server.start(t, { dataDirectory: server.dataDirectory, flags: ['--engine-parallel', '2'] });
  assert.equal((await other.call('GET', kInfo)).json.throughput_chunk_size, 1);
});

// Killed in the middle, and killed again: it begins anew, with what it was asked for, and says so; what a
// restart cuts off again and again is left alone.
test('a calibration that a kill cuts off begins anew by itself', async (t) => {
  const flags = ['--engine-parallel', '2'];
  let server = await Server.start(t, { flags });
  await register(server, await synthesise('toy'));
  const path = '/api/2.0/penstock/models/main.test.toy/versions/1/calibration';
  const job = async () => (await server.call('GET', '/api/2.0/penstock/jobs')).json.jobs.find(({ kind }) => kind === 'calibrate');
  const killed = async () => {
    await until('it measures', async () => (await job())?.state === 'RUNNING');
    await server.kill();
    server = await Server.start(t, { dataDirectory: server.dataDirectory, flags });
  };
  assert.equal((await server.call('POST', path, { length: 'quick', chunks_per_replica: 3 })).status, 200);
  await killed();
  assert.match(server.log, /calibration of main\.test\.toy\/1 was cut off, and begins anew/);
  await killed();
  const done = await until('it is measured', async () => {
    const { json } = await server.call('GET', path);
    return json.calibration && json;
  }, { seconds: 240 });
  assert.equal(done.calibration.chunks_per_replica, 3);
  assert.equal(done.calibration.mode, 'quick');
  await server.stop();
  server = await Server.start(t, { dataDirectory: server.dataDirectory, flags });
  assert.equal(await job(), undefined);

  assert.equal((await server.call('POST', path, { length: 'quick' })).status, 200);
  for (let i = 0; i < 3; ++i) await killed();
  await until('it measures', async () => (await job())?.state === 'RUNNING');
  await server.kill();
  server = await Server.start(t, { dataDirectory: server.dataDirectory, flags });
  assert.match(server.log, /is not begun again: this has happened 4 times/);
  assert.equal(await job(), undefined);
});

test('a first use calibrates in the background, and nobody waits for it', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '2', '--calibrate', 'first-use'] });
  await register(server, await synthesise('toy'));
  const first = await server.call('GET', kInfo);
  assert.equal(first.json.optimizable, true);
  assert.match(first.json.calibration.state, /QUEUED|RUNNING/);
  await until('the chunk is known', async () => {
    const { json } = await server.call('GET', kInfo);
    assert.notEqual(json.calibration.state, 'FAILED', JSON.stringify(json));
    return json.throughput_chunk_size > 1;
  }, { seconds: 240 });
});

test('an engine that cannot start fails the calibration in its own words', async (t) => {
  const server = await Server.start(t);
  const file = join(temporaryFolder(t), 'cut.gguf');
  copyFileSync(await synthesise('toy'), file);
  await register(server, file);
  // Cut afterwards: a file that is cut already is refused at registration.
  truncateSync(file, Math.floor(readFileSync(file).length / 2));
  const measured = await run(['model', 'calibrate', 'main.test.toy', '--data-dir', server.dataDirectory]);
  assert.equal(measured.code, 1);
  assert.match(measured.stderr, /the engine exited with status 2.*cut off/s);
});

test('40 GB of weights on a smaller machine: refused with the numbers, before anything loads', async (t) => {
  const file = join(temporaryFolder(t), 'huge.gguf');
  copyFileSync(await synthesise('toy'), file);
  const memory = Number(/MemTotal: +(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
  truncateSync(file, Math.max(40e9, 2 * memory));  // Sparse.
  const server = await Server.start(t);
  await register(server, file);
  const { json } = await server.call('GET', kInfo);
  assert.equal(json.optimizable, false);
  assert.match(json.reason, /has \d+\.\d GB of weights, this machine \d+\.\d GB of memory/);
  const refused = await createEndpoint(server, 'huge', 0, 10);
  assert.equal(refused.status, 503);
  assert.equal(refused.json.message, json.reason);
});

test('models in the models folder are system.ai', async (t) => {
  const dataDirectory = temporaryFolder(t);
  mkdirSync(join(dataDirectory, 'models'), { recursive: true });
  copyFileSync(await synthesise('toy'), join(dataDirectory, 'models/toy-v1.gguf'));
  const server = await Server.start(t, { dataDirectory });
  const { json } = await server.call('GET', '/api/2.1/unity-catalog/models?catalog_name=system&schema_name=ai');
  assert.deepEqual(json.registered_models.map(({ full_name: name }) => name), ['system.ai.toy-v1']);
});

test('a default system prompt counts only when the client sends none', async (t) => {
  const server = await Server.start(t);
  await register(server, await synthesise('toy'));
  const changed = await server.call('PATCH', '/api/2.1/unity-catalog/models/main.test.toy',
    { default_system_prompt: 'You are a toy that was made for a test.' });
  assert.equal(changed.status, 200, changed.text);
  assert.equal((await createEndpoint(server, 'toy', 0, 10)).status, 200);
  await server.endpointReady('toy');
  const promptTokens = async (messages) => {
    const { json } = await server.call('POST', '/v1/chat/completions', { model: 'toy', messages, max_tokens: 1 });
    return json.usage.prompt_tokens;
  };
  const user = { role: 'user', content: 'Hi' };
  const without = await promptTokens([user]);
  const own = await promptTokens([{ role: 'system', content: 'x' }, user]);
  assert.ok(without > own + 20, `${without} tokens with the default, ${own} with another`);
});

test('an embedding model is calibrated by the tokens that it reads', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '2'] });
  await register(server, await synthesise('bge-small'));
  const flags = ['--data-dir', server.dataDirectory];
  const measured = await run(['model', 'calibrate', 'main.test.toy', '--length', 'quick', '--json', ...flags],
    { seconds: 240 });
  assert.equal(measured.code, 0, measured.stderr);
  const { calibration } = JSON.parse(measured.stdout);
  assert.equal(calibration.output_weight, 1);
  const [{ input_tokens: input }] = calibration.curve;
  assert.ok(Math.abs(input - 112) <= 4, `${input} tokens each`);
  const { json: info } = await server.call('GET', kInfo);
  assert.ok(info.throughput_chunk_size > 1);
  const made = await createEndpoint(server, 'vectors', info.throughput_chunk_size, info.throughput_chunk_size);
  assert.equal(made.status, 200, made.text);
  await server.endpointReady('vectors');
  const answer = await server.call('POST', '/v1/embeddings', { model: 'vectors', input: 'a text' });
  assert.equal(answer.status, 200, answer.text);
});
