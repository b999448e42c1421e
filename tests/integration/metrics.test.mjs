// /metrics as Prometheus' own tool judges it; and the dashboard, whose queries must find what they ask for.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, kRoot, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

function promtool(words, input) {
  const { status, stdout, stderr, error } = spawnSync('promtool', words, { input, encoding: 'utf8' });
  if (error) throw new Error(`promtool: ${error.message}; scripts/setup installs it (Debian's prometheus)`);
  return { status, said: stdout + stderr };
}

// A port that was free a moment ago: Prometheus does not tell which one it chose.
function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
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

// What Grafana's schema demands of a dashboard that is imported (its kinds/dashboard), as far as ours goes.
test('the dashboard is one that Grafana can read', () => {
  const dashboard = JSON.parse(readFileSync(join(kRoot, 'docs/grafana/endpoints.json'), 'utf8'));
  assert.equal(typeof dashboard.title, 'string');
  assert.match(dashboard.uid, /^[\w-]{1,40}$/);
  assert.ok(Number.isInteger(dashboard.schemaVersion) && dashboard.schemaVersion >= 36);
  const variables = new Set(dashboard.templating.list.map(({ name }) => name));
  const taken = new Set();
  const ids = new Set();
  for (const { id, type, title, gridPos: { x, y, w, h }, targets, datasource, fieldConfig } of dashboard.panels) {
    assert.ok(Number.isInteger(id) && !ids.has(id), `${title}: id ${id}`);
    ids.add(id);
    assert.ok(['timeseries', 'stat', 'table', 'bargauge', 'gauge', 'heatmap'].includes(type), `${title}: ${type}`);
    assert.ok(x >= 0 && w >= 1 && x + w <= 24 && h >= 1, `${title} lies beyond the grid`);
    for (let column = x; column < x + w; ++column) {
      for (let row = y; row < y + h; ++row) {
        assert.ok(!taken.has(`${column},${row}`), `${title} lies on another panel`);
        taken.add(`${column},${row}`);
      }
    }
    assert.equal(typeof fieldConfig.defaults.unit, 'string', title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const source of [datasource, ...targets.map((target) => target.datasource)]) {
      assert.deepEqual(source, { type: 'prometheus', uid: '${source}' }, title);
    }
    for (const { expr } of targets) {
      for (const [, name] of expr.matchAll(/\$(?!__)(\w+)/g)) assert.ok(variables.has(name), `${title}: $${name}`);
    }
  }
});

// A Prometheus of its own, which reads the server twice a second.
async function startPrometheus(t, server) {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'key'), server.adminKey);
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({
    global: { scrape_interval: '500ms' },
    scrape_configs: [{ job_name: 'penstock', authorization: { credentials_file: join(folder, 'key') },
      static_configs: [{ targets: [new URL(server.url).host] }] }],
  }));
  const port = await freePort();
  const child = spawn('prometheus', [`--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  return async (query) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { status, error, data } = await response.json();
    if (status !== 'success') throw new Error(`${query}: ${error}`);
    return data.result;
  };
}

// An endpoint with a contract, for utilisation is of what was provisioned.
async function contractedServer(t) {
  const server = await Server.start(t, { flags: ['--engine-parallel', '2'] });
  const flags = ['--data-dir', server.dataDirectory];
  for (const words of [['register', 'main.default.toy', '--file', await synthesise('toy')],
    ['calibrate', 'main.default.toy', '--length', 'quick']]) {
    const { code, stderr } = await run(['model', ...words, ...flags], { seconds: 240 });
    assert.equal(code, 0, stderr);
  }
  const info = '/api/2.0/serving-endpoints/get-model-optimization-info/main.default.toy/1';
  const { json: { throughput_chunk_size: chunk } } = await server.call('GET', info);
  const { status, text } = await server.call('POST', '/api/2.0/serving-endpoints', { name: 'toy',
    config: { served_entities: [{ entity_name: 'main.default.toy', entity_version: '1',
      min_provisioned_throughput: chunk, max_provisioned_throughput: chunk }] } });
  assert.equal(status, 200, text);
  await server.endpointReady('toy');
  return server;
}

test('every panel shows something in a real Prometheus', async (t) => {
  const server = await contractedServer(t);
  const ask = await startPrometheus(t, server);
  await until('it has read the server more than once', async () => {
    const { status } = await server.call('POST', '/v1/completions',
      { model: 'toy', prompt: 'a', max_tokens: 3, stream: true });
    assert.equal(status, 200);
    const counted = await ask('count_over_time(penstock_requests_running{endpoint="toy"}[1m])').catch(() => []);
    return counted.length > 0 && Number(counted[0].value[1]) >= 4;
  });
  const dashboard = JSON.parse(readFileSync(join(kRoot, 'docs/grafana/endpoints.json'), 'utf8'));
  for (const panel of dashboard.panels) {
    for (const { expr } of panel.targets) {
      const result = await ask(expr.replaceAll('$__rate_interval', '1m').replaceAll('$endpoint', '.*'));
      assert.ok(result.length > 0, `${panel.title}: ${expr} finds nothing`);
    }
  }
});
