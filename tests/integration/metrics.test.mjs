// /metrics as Prometheus' own tool judges it; and the dashboard, whose queries must find what they ask for.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, kRoot, synthesise, temporaryFolder } from '../support/penstock.mjs';

function promtool(words, input) {
  const { status, stdout, stderr, error } = spawnSync('promtool', words, { input, encoding: 'utf8' });
  if (error) throw new Error(`promtool: ${error.message}; scripts/setup installs it (Debian's prometheus)`);
  return { status, said: stdout + stderr };
}

async function busyServer(t) {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  for (const stream of [true, false]) {
    const { status } = await server.call('POST', '/v1/completions', { model: 'toy', prompt: 'a', max_tokens: 3, stream });
    assert.equal(status, 200);
  }
  return server;
}

test('promtool finds nothing to complain about', async (t) => {
  const server = await busyServer(t);
  const { text } = await server.call('GET', '/metrics');
  const { status, said } = promtool(['check', 'metrics'], text);
  assert.equal(said.trim(), '');
  assert.equal(status, 0);
  assert.match(text, /^gen_ai_server_request_duration_seconds_count\{gen_ai_operation_name="text_completion",.*\} 2$/m);
});

test('the dashboard asks for metrics that there are, in queries that Prometheus can read', async (t) => {
  const server = await busyServer(t);
  const { text } = await server.call('GET', '/metrics');
  const names = new Set([...text.matchAll(/^([a-z_]+)(?:\{| )/gm)].map(([, name]) => name));
  const dashboard = JSON.parse(readFileSync(join(kRoot, 'docs/grafana/endpoints.json'), 'utf8'));
  const queries = dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr))
    .concat(dashboard.templating.list.map((each) => each.query.query ?? ''));
  assert.ok(queries.length > 15);
  for (const query of queries) {
    for (const [name] of query.matchAll(/\b(penstock|gen_ai)_[a-z_]+/g)) {
      assert.ok(names.has(name), `${name}, which a panel asks for, is not in /metrics`);
    }
  }
  const rules = dashboard.panels.flatMap((panel) => panel.targets).map((target, i) => ({
    record: `panel:${i}`,
    expr: target.expr.replaceAll('$__rate_interval', '1m').replaceAll('$endpoint', '.*'),
  }));
  const file = join(temporaryFolder(t), 'rules.yml');
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));  // JSON is YAML.
  const { status, said } = promtool(['check', 'rules', file]);
  assert.equal(status, 0, said);
});
