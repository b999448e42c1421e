// penstock size --own: a model that was calibrated on a running server, side by side with the vendors.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Server, run, synthesise } from '../support/penstock.mjs';

const kShape = ['--requests-per-minute', '30', '--input-tokens', '400', '--output-tokens', '60'];

test('size reads what a running server knows of its models', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '4'] });
  const flags = ['--data-dir', server.dataDirectory];
  const made = await run(['model', 'register', 'main.test.measured', '--file', await synthesise('toy'), ...flags]);
  assert.equal(made.code, 0, made.stderr);
  const measured = await run(['model', 'calibrate', 'main.test.measured', '--length', 'quick', ...flags],
    { seconds: 240 });
  assert.equal(measured.code, 0, measured.stderr);
  const { json: kept } = await server.call('GET',
    '/api/2.0/penstock/models/main.test.measured/versions/1/calibration');
  const { cost_per_s: cost, output_weight: weight, throughput_chunk_size: chunk } = kept.calibration;

  const sized = await run(['size', ...kShape, '--own', 'main.test.measured/1', '--json', ...flags]);
  assert.equal(sized.code, 0, sized.stderr);
  const { sizings: [{ offers }], sources } = JSON.parse(sized.stdout);
  const own = offers.find((offer) => offer.offer === 'This hardware');
  assert.equal(own.model, 'main.test.measured/1');
  // 30 requests a minute as the reference workload that costs the same.
  const raw = 30 / 60 * (400 + weight * 60) * 2304 / (2048 + weight * 256);
  assert.ok(Math.abs(own.raw - raw) < 1e-6 * raw, `${own.raw} against ${raw}`);
  assert.equal(own.amount, Math.ceil(own.raw / chunk) * chunk);
  assert.ok(sources.some((source) => source.includes(cost.toFixed(0))), sources.join('\n'));
  for (const vendor of ['Azure OpenAI provisioned, global', 'Databricks provisioned throughput']) {
    assert.ok(offers.some((offer) => offer.offer === vendor), vendor);
  }

  // The address and key by flag, as from another machine.
  const reached = ['--server', server.url, '--api-key', server.adminKey];
  const all = await run(['size', ...kShape, '--own', 'all', ...reached]);
  assert.equal(all.code, 0, all.stderr);
  assert.match(all.stdout, /This hardware +main\.test\.measured\/1/);

  const bought = await run(['size', '--provisioned', String(chunk), '--input-tokens', '2048', '--output-tokens', '256',
    '--own', 'main.test.measured', '--databricks-model', 'none', '--json', ...flags]);
  const { offers: [row] } = JSON.parse(bought.stdout);
  assert.ok(Math.abs(row.requests_per_minute - chunk * 60 / 2304) < 1e-6 * row.requests_per_minute);

  // What the server answers is 1, what the command line says 2.
  for (const [name, code, said] of [['main.test.nobody', 1, /main\.test\.nobody/], ['main.test.measured/x', 2, /--own/]]) {
    const refused = await run(['size', ...kShape, '--own', name, ...flags]);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, said);
  }
});

test('a model that was never calibrated is told of, and refused where it is named', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '2'] });
  const flags = ['--data-dir', server.dataDirectory];
  const none = await run(['size', ...kShape, '--own', 'all', ...flags]);
  assert.match(none.stdout, /has no model of its own/);
  const made = await run(['model', 'register', 'main.test.toy', '--file', await synthesise('toy'), ...flags]);
  assert.equal(made.code, 0, made.stderr);
  const all = await run(['size', ...kShape, '--own', 'all', ...flags]);
  assert.equal(all.code, 0, all.stderr);
  assert.match(all.stdout, /main\.test\.toy\/1 was never calibrated/);
  const named = await run(['size', ...kShape, '--own', 'main.test.toy', ...flags]);
  assert.equal(named.code, 2);
  assert.match(named.stderr, /penstock model calibrate main\.test\.toy/);
});
