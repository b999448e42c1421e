// `penstock bench prove` against a deployment that speaks Azure's dialect and is sold in PTU.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const kShape = { input: 256, output: 16, weight: 4 };
const kRequestsPerSecond = 2;
const kCost = kShape.input + kShape.weight * kShape.output;
const kSold = kRequestsPerSecond * kCost;
const kProvisioned = 1.25 * kSold;  // So that what one stage overdraws is made up for in the next.

// A server with one deployment, `ptu`, of kProvisioned cost/s; its engine is another server's.
async function deployment(t) {
  const engine = await Server.start(t);
  await engine.serveModel('toy', await synthesise('toy'));
  const socket = await until('the engine has a socket', () => engine.engineSockets()[0]);
  const policies = join(temporaryFolder(t), 'policies.json');
  writeFileSync(policies, JSON.stringify({
    endpoints: {
      ptu: {
        guarantee_cost_per_s: kProvisioned, cap_cost_per_s: kProvisioned, guarantee_burst_ms: 2000,
        cap_burst_ms: 2000, accounting: 'utilization', overload: 'reject', reserve: 'limit',
        output_weight: kShape.weight,
      },
    },
  }));
  return Server.start(t, {
    flags: ['--static-endpoint', `ptu=unix:${socket}`, '--static-policies', policies],
  });
}

test('a deployment sold in PTU is proven in its own dialect', async (t) => {
  const server = await deployment(t);
  const folder = temporaryFolder(t);
  const [page, evidence] = [join(folder, 'proof.html'), join(folder, 'proof.jsonl')];
  const words = (url) => [
    'bench', 'prove', url, `--sold=${kSold}`, `--output-weight=${kShape.weight}`,
    `--input-tokens=${kShape.input}`, `--output-tokens=${kShape.output}`, '--windows=3', '--window-s=4',
    '--budget=ttft_p95<20s,errors<1%', '--warmup-s=1', '--rest-s=4', '--retries=2', '--beyond=8', '--json',
    '--no-progress', `--report=${page}`, `--evidence=${evidence}`,
  ];
  const url = `${server.url}/openai/deployments/ptu`;
  const env = { PENSTOCK_API_KEY: server.adminKey };
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, `${server.adminKey}\n`);
  const proved = await run([...words(url), '--api-version=2024-10-21', `--api-key-file=${keyFile}`,
    '--header=x-team: a-secret-of-ours'], { seconds: 240 });
  const proof = JSON.parse(proved.stdout || '{}');
  const why = proved.stderr + JSON.stringify(proof.promises, null, 1);
  const verdicts = Object.fromEntries((proof.promises ?? []).map(({ name, verdict }) => [name, verdict]));
  assert.equal(verdicts.delivery, 'kept', why);
  assert.equal(verdicts.refusal, 'kept', why);
  assert.equal(verdicts.retry_after, 'kept', why);
  assert.equal(verdicts.neighbour, 'not_tested', why);
  assert.equal(proved.code, 0, why);
  // Counted as it was sold: an output token as four of input.
  for (const window of proof.windows) assert.ok(window.delivered_tokens_per_s >= 0.98 * kSold, why);
  assert.ok(Math.abs(proof.requests_per_s - kRequestsPerSecond) < 1e-6);
  // What the deployment tells of itself, in each answer of the windows; it never gave out more than it had.
  const answers = proof.windows.reduce((sum, window) => sum + window.due, 0);
  assert.equal(proof.utilization_percent.count, answers, why);
  assert.ok(proof.utilization_percent.max > 0 && proof.utilization_percent.max <= 110, why);
  // Refusals said when, to the millisecond.
  assert.ok(proof.beyond.refused > 0 && proof.beyond.without_retry_after === 0, why);
  const lines = readFileSync(evidence, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const waits = lines.filter((line) => line.error === 'rate_limited').map((line) => line.retry_after_ms);
  assert.ok(waits.some((wait) => wait % 1000 !== 0), 'retry-after-ms is read, not retry-after');
  const html = readFileSync(page, 'utf8');
  assert.match(html, /an output token counted as 4/);
  assert.match(html, /Utilization, as told/);
  assert.match(html, /Provisioned throughput of ptu/);
  assert.ok(!html.includes('a-secret-of-ours'));
  assert.ok(!html.includes(server.adminKey) && !readFileSync(evidence, 'utf8').includes(server.adminKey));

  // Without its version, or under a name that nobody has, the deployment's own words are passed on.
  const versionless = await run(words(url), { env, seconds: 60 });
  assert.equal(versionless.code, 2, versionless.stdout);
  assert.match(versionless.stderr, /404/);
  const unknown = await run([...words(`${server.url}/openai/deployments/none`), '--api-version=2024-10-21'],
    { env, seconds: 60 });
  assert.match(unknown.stderr, /deployment/i);
});
