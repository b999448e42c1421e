// What requests used: the ledger under kills, and `penstock usage` over both its ways.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { runKills } from '../../benchmarks/lib/ledger_kills.mjs';
import { Server, kProgram, run, temporaryFolder, until } from '../support/penstock.mjs';

const kNvml = join(dirname(kProgram), 'src/app/fake_nvml/libnvidia-ml.so.1');

// A model server that answers with usage; {url, requests}.
async function modelServer(t) {
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      if (request.method !== 'POST') return response.end('{}');
      const usage = {
        prompt_tokens: 11, completion_tokens: 5, total_tokens: 16,
        prompt_tokens_details: { cached_tokens: 4 },
      };
      if (request.url.endsWith('/embeddings')) {
        usage.completion_tokens = undefined;
        return response.end(JSON.stringify({ object: 'list', data: [], usage }));
      }
      if (!JSON.parse(body).stream) {
        const choices = [{ index: 0, message: { content: 'hello' } }];
        return response.end(JSON.stringify({ choices, usage: body.includes('"no usage"') ? undefined : usage }));
      }
      response.setHeader('content-type', 'text/event-stream');
      const text = request.url.endsWith('/chat/completions') ? { delta: { content: 'x' } } : { text: 'x' };
      for (let i = 0; i < 5; ++i) {
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, ...text }] })}\n\n`);
      }
      const asked = JSON.parse(body).stream_options?.include_usage;
      if (asked) response.write(`data: ${JSON.stringify({ choices: [], usage })}\n\n`);
      response.end('data: [DONE]\n\n');
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

async function usage(folder, words) {
  const { code, stdout, stderr } = await run(['usage', ...words, '--data-dir', folder]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('every kind of request leaves its record, and all reports tell the same', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const flags = [`--static-endpoint=chat=${await modelServer(t)}`];
  const server = await Server.start(t, { dataDirectory, flags, env: { LD_LIBRARY_PATH: dirname(kNvml) } });
  const messages = [{ role: 'user', content: 'hi' }];
  const ask = (path, body) => server.call('POST', path, { model: 'chat', ...body });

  await ask('/v1/chat/completions', { messages, client_request_id: 'a', usage_context: { team: 'x' } });
  await ask('/v1/chat/completions', { messages, stream: true, stream_options: { include_usage: false } });
  await ask('/v1/completions', { prompt: 'hi', stream: true });
  await ask('/serving-endpoints/chat/invocations', { messages });
  await ask('/v1/embeddings', { input: 'hi' });
  await ask('/v1/chat/completions', { messages, user: 'no usage' });
  await ask('/v1/chat/completions', { messages, max_tokens: 'many' });
  await server.call('POST', '/v1/chat/completions', { model: 'nobody', messages });
  await server.call('POST', '/v1/chat/completions', { model: 'chat' }, { key: 'wrong' });

  const { records } = JSON.parse(await usage(dataDirectory, ['records', '--json']));
  assert.equal(records.length, 8, 'one each, but for the caller whom nobody knows');
  const byId = records.find((record) => record.client_request_id === 'a');
  assert.deepEqual(
    { ...byId, request_id: 0, ended_at: 0, duration_us: 0, input_bytes: 0 },
    {
      ...byId, request_id: 0, ended_at: 0, duration_us: 0, input_bytes: 0,
      endpoint: 'chat', key: 'admin', status: 200, input_tokens: 11, cached_tokens: 4, output_tokens: 5,
      source: 'upstream', operation: 'chat', stream: false, usage_context: { team: 'x' },
    });
  const streams = records.filter((record) => record.stream);
  assert.deepEqual(streams.map((record) => record.operation).sort(), ['chat', 'completions']);
  for (const record of streams) {
    assert.equal(record.source, 'upstream', 'usage is asked for, whatever the client says');
    assert.ok(record.ttft_us > 0);
  }
  assert.equal(records.find((record) => record.source === 'estimated').output_tokens, 1);  // (5 + 1) / 4
  assert.equal(new Set(records.map((record) => record.request_id)).size, 8);

  const live = JSON.parse(await usage(dataDirectory, ['summary', '--json', '--group-by', 'endpoint,status']));
  const row = live.rows.find((each) => each.endpoint === 'chat' && each.status === '200');
  assert.equal(row.requests, 6);
  assert.match(await usage(dataDirectory, ['summary']), /^endpoint +requests +429/m);
  assert.match(await usage(dataDirectory, ['summary', '--format', 'csv']), /^endpoint,requests,refused/m);

  // The minutes follow within a second or two.
  await until('the minutes are counted', async () => {
    const { minutes } = JSON.parse(await usage(dataDirectory, ['minutes', '--json']));
    const counted = minutes.flatMap((minute) => minute.requests.map((each) => each.requests));
    return counted.reduce((sum, each) => sum + each, 0) === 8;
  });
  const own = await server.call('GET', '/api/2.0/serving-endpoints/chat/metrics');
  assert.equal(own.status, 200);
  assert.match(own.text, /^# TYPE request_count_total gauge$/m);
  assert.match(own.text, /^# TYPE model_prediction_latency_ms histogram$/m);
  // A stand-in for NVIDIA's library where the tests were built; this machine's own is none, most likely.
  if (existsSync(kNvml)) {
    assert.match(own.text, /^gpu_usage_percentage\{endpoint_name="chat",gpu="gpu0"\} 73 \d+$/m);
    assert.match(own.text, /^gpu_memory_usage_percentage\{endpoint_name="chat",gpu="gpu1"\} 25 \d+$/m);
  }
  assert.equal((await server.call('GET', '/api/2.0/usage?from=nonsense')).status, 400);

  server.process.kill('SIGTERM');
  await server.ended;
  const stopped = JSON.parse(await usage(dataDirectory, ['summary', '--json', '--group-by', 'endpoint,status']));
  assert.deepEqual(stopped.rows, live.rows, 'files and server tell the same');
  assert.match(await usage(dataDirectory, ['check']), /8 records, .* agree/);
  const csv = (await usage(dataDirectory, ['records', '--format', 'databricks'])).trim().split('\n');
  assert.equal(csv.length, 9);
  assert.match(csv[0], /^account_id,workspace_id,client_request_id,databricks_request_id,requester,status_code/);
});

test('whatever is killed: billed is what was delivered', async (t) => {
  const folder = join(temporaryFolder(t), 'data');
  mkdirSync(folder);
  const seed = Number(process.env.PENSTOCK_SEED ?? Date.now() % 1e6);
  t.diagnostic(`seed ${seed}`);
  const result = await runKills({ program: kProgram, folder, kills: 8, clients: 8, seed });
  assert.deepEqual(result.wrong, []);
  assert.ok(result.sums.delivered > 20, JSON.stringify(result.sums));
  assert.equal(result.sums.billed_tokens, result.sums.delivered_tokens);
  assert.ok(result.agree, result.check);
});

test('usage explains itself', async (t) => {
  const folder = temporaryFolder(t);
  const bad = async (words) => {
    const { code, stderr } = await run(['usage', ...words]);
    assert.equal(code, 2);
    return stderr;
  };
  assert.match(await bad(['summary', '--data-dir', join(folder, 'none')]), /no such folder/);
  assert.match(await bad(['summary', '--data-dir', folder, '--from', 'soon']), /--from: 'soon' is no time/);
  assert.match(await bad(['summary', '--data-dir', folder, '--group-by', 'colour']), /use a list of endpoint, key/);
  writeFileSync(join(folder, 'x'), '');
  assert.match(await usage(folder, ['summary']), /No requests/);
});

test('requests and answers are logged where an endpoint opted in, without keys', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const url = await modelServer(t);
  const flags = [`--static-endpoint=chat=${url}`, `--static-endpoint=quiet=${url}`, '--log-payloads=chat'];
  const server = await Server.start(t, { dataDirectory, flags });
  const secret = `psk_${'0123456789abcdef'.repeat(4)}`;
  const ask = (model, stream, content) => server.call('POST', '/v1/chat/completions',
    { model, stream, messages: [{ role: 'user', content }] });
  await ask('chat', false, `my key is ${secret}`);
  await ask('chat', true, 'hi');
  await ask('chat', false, 'x'.repeat(1.5 * 2 ** 20));
  await ask('quiet', false, 'hi');
  server.process.kill('SIGTERM');
  await server.ended;
  const text = readFileSync(join(dataDirectory, 'payloads/chat.jsonl'), 'utf8');
  assert.ok(!text.includes(secret));
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, 3);
  assert.match(lines[0].request, /my key is psk_\*\*\*/);
  assert.equal(JSON.parse(lines[0].response).usage.prompt_tokens, 11);
  assert.equal(JSON.parse(lines[1].response).choices[0].message.content, 'xxxxx');
  assert.equal(lines[2].request, null);
  assert.deepEqual(lines[2].logging_error_codes, ['MAX_REQUEST_SIZE_EXCEEDED']);
  assert.ok(!existsSync(join(dataDirectory, 'payloads/quiet.jsonl')));
});

test('the simulator plays what the ledger recorded', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const url = await modelServer(t);
  const server = await Server.start(t, { dataDirectory,
    flags: [`--static-endpoint=chat=${url}`, `--static-endpoint=code=${url}`] });
  const ask = (model) => server.call('POST', '/v1/chat/completions',
    { model, stream: true, messages: [{ role: 'user', content: 'hi' }] });
  for (const model of ['chat', 'code', 'chat', 'chat', 'code']) assert.equal((await ask(model)).status, 200);
  const exported = await run(['usage', 'records', '--format', 'jsonl', '--data-dir', dataDirectory]);
  assert.equal(exported.code, 0, exported.stderr);
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'usage.jsonl'), exported.stdout);
  writeFileSync(join(folder, 'again.yaml'), `
fleet: {replicas: [1, 1]}
tenants:
  - {name: chat, traffic: {ledger: usage.jsonl}}
  - {name: second, traffic: {ledger: usage.jsonl, endpoint: code, speed: 2}}
`);
  const played = await run(['simulate', join(folder, 'again.yaml'), '--json']);
  assert.equal(played.code, 0, played.stderr);
  const [chat, code] = JSON.parse(played.stdout).runs[0].tenants;
  assert.deepEqual([chat.arrived, chat.completed], [3, 3]);
  assert.deepEqual([code.arrived, code.completed], [2, 2]);
  const refused = await run(['simulate', join(folder, 'none.yaml')]);
  assert.equal(refused.code, 2);
});

test('rate limits outlive a restart, also one by kill -9', async (t) => {
  const dataDirectory = temporaryFolder(t);
  const policies = join(temporaryFolder(t), 'policies.json');
  writeFileSync(policies, JSON.stringify({ endpoints: {
    chat: { rate_limits: [{ key: 'user', calls: 4 }] }, tokens: { rate_limits: [{ tokens: 1000 }] } } }));
  const url = await modelServer(t);
  const flags = [`--static-endpoint=chat=${url}`, `--static-endpoint=tokens=${url}`, `--static-policies=${policies}`];
  const ask = (server, model) => server.call('POST', '/v1/completions', { model, prompt: 'a', max_tokens: 5 });
  let server = await Server.start(t, { dataDirectory, flags });
  for (const status of [200, 200, 200]) assert.equal((await ask(server, 'chat')).status, status);
  const left = (await ask(server, 'tokens')).headers.get('x-ratelimit-remaining-tokens');
  assert.equal(left, '995', 'a token of prompt is none by the formula, and five are asked for');
  await server.kill();
  server = await Server.start(t, { dataDirectory, flags });
  assert.match(server.log, /rate limits: 4 requests of the last minute count/);
  assert.equal((await ask(server, 'chat')).status, 200, 'the fourth');
  assert.equal((await ask(server, 'chat')).status, 429, 'the fifth');
  // The answer took 16 in the end.
  assert.equal((await ask(server, 'tokens')).headers.get('x-ratelimit-remaining-tokens'), `${1000 - 16 - 5}`);
});
