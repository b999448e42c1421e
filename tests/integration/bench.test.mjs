// `penstock bench` as its users run it: against our own endpoints, replaying traces, from several
// processes, on a terminal.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { Server, kProgram, kRoot, run, synthesise, temporaryFolder } from '../support/penstock.mjs';

// A model server in steps of baseMs + eachMs × streams: its URL.
async function kneeServer(t, { baseMs = 2, eachMs = 0.01 } = {}) {
  const program = join(kRoot, 'benchmarks/lib/knee_server.mjs');
  const child = spawn(process.execPath, [program, String(baseMs), String(eachMs)]);
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return `http://127.0.0.1:${JSON.parse(line).port}`;
}

// A server whose endpoints share a calibrated model: {server, calibration, create(name, chunks)}.
async function calibrated(t) {
  const server = await Server.start(t, { flags: ['--engine-parallel', '4'] });
  const flags = ['--data-dir', server.dataDirectory];
  const file = await synthesise('toy');
  assert.equal((await run(['model', 'register', 'main.test.toy', '--file', file, ...flags])).code, 0);
  const measured = await run(['model', 'calibrate', 'main.test.toy', '--length', 'quick', '--json', ...flags],
    { seconds: 240 });
  assert.equal(measured.code, 0, measured.stderr);
  const { calibration } = JSON.parse(measured.stdout);
  return {
    server,
    calibration,
    async create(name, minimum, maximum, overload = 'reject') {
      const chunk = calibration.throughput_chunk_size;
      const created = await server.call('POST', '/api/2.0/serving-endpoints', {
        name,
        config: {
          served_entities: [{
            entity_name: 'main.test.toy', entity_version: 1, overload, isolation: 'shared',
            min_provisioned_throughput: minimum * chunk, max_provisioned_throughput: maximum * chunk,
          }],
        },
      });
      assert.equal(created.status, 200, created.text);
      await server.endpointReady(name, { seconds: 120 });
    },
  };
}

// One calibration for all three.
test('against a calibrated endpoint of ours', async (t) => {
  const endpoint = await calibrated(t);
  await t.test('a search ends with chunks to provision', () => searchesChunks(endpoint));
  await t.test('a tokenizer counts beside the usage, and the report shows where they part',
    (inner) => countsTwice(inner, endpoint));
  await t.test('what was sold is proven, window by window, beside a flood', (inner) => proves(inner, endpoint));
});

async function searchesChunks({ server, calibration, create }) {
  await create('mine', 0, 4, 'queue');
  const found = await run([
    'bench', server.url, '--model=mine', '--budget=ttft_p90<30s,errors<20%', '--concurrency-max=4',
    '--input-tokens=256', '--output-tokens=16', '--optimization-info=main.test.toy/1', '--json',
    '--search-max-s=100', '--no-progress',
  ], { env: { PENSTOCK_API_KEY: server.adminKey }, seconds: 200 });
  const summary = JSON.parse(found.stdout || '{}');
  assert.ok(summary.within_budget >= 1, found.stderr + found.stdout);
  const chunk = calibration.throughput_chunk_size;
  const { provision } = summary;
  assert.equal(provision.throughput_chunk_size, chunk);
  assert.equal(provision.min_provisioned_throughput % chunk, 0);
  assert.equal(provision.max_provisioned_throughput % chunk, 0);
  assert.ok(provision.min_provisioned_throughput <= provision.max_provisioned_throughput);
  assert.match(summary.answer, /^Within ttft_p90<30s,errors<20%: /);
  assert.match(summary.answer, new RegExp(`set min_provisioned_throughput .*chunks? of ${chunk}\\)`));
  // What it says is what the endpoint's configuration takes.
  const { min_provisioned_throughput: minimum, max_provisioned_throughput: maximum } = provision;
  const updated = await server.call('PUT', '/api/2.0/serving-endpoints/mine/config', {
    served_entities: [{
      entity_name: 'main.test.toy', entity_version: 1, min_provisioned_throughput: 0,
      max_provisioned_throughput: Math.max(minimum, maximum),
    }],
  });
  assert.equal(updated.status, 200, updated.text);
}

async function countsTwice(t, { server }) {
  const folder = temporaryFolder(t);
  const records = join(folder, 'run.jsonl');
  const words = ['bench', server.url, '--model=mine', '--concurrency=1', '--requests=12', '--input-tokens=128',
    '--output-tokens=16', `--records=${records}`, '--json', '--no-progress'];
  const env = { PENSTOCK_API_KEY: server.adminKey };
  const same = await run([...words, `--tokenizer=${await synthesise('toy')}`], { env, seconds: 120 });
  const { levels: [level] } = JSON.parse(same.stdout);
  assert.equal(level.tokenizer.replies, 12);
  assert.equal(level.tokenizer.usage_output_tokens, 12 * 16);
  // A chat template's own tokens are in the usage alone.
  assert.ok(level.tokenizer.counted_input_tokens > 0.5 * level.tokenizer.usage_input_tokens);
  assert.ok(level.tokenizer.counted_input_tokens <= level.tokenizer.usage_input_tokens);
  const lines = readFileSync(records, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  for (const line of lines.filter((each) => each.kind === 'request' && each.phase !== 'fit')) {
    assert.ok(line.output_tokens_counted > 0 && line.input_tokens_counted > 0);
  }
  // Another model's vocabulary disagrees, and that is told.
  const other = join(folder, 'other.md');
  const parts = await run([...words, `--tokenizer=${await synthesise('15m')}`, `--markdown=${other}`],
    { env, seconds: 120 });
  const told = JSON.parse(parts.stdout).levels[0];
  if (told.tokenizer.disagree > 0) {
    assert.ok(told.warnings.some(({ name }) => name === 'tokenizer'));
    assert.match(readFileSync(other, 'utf8'), /the server's usage and the tokenizer disagree/);
  }
  const none = await run([...words, `--tokenizer=${records}`], { env });
  assert.equal(none.code, 2);
  assert.match(none.stderr, /run\.jsonl/);
}

async function proves(t, { server, calibration, create }) {
  await create('sold', 1, 1);
  await create('neighbour', 1, 1);
  const folder = temporaryFolder(t);
  const [page, evidence] = [join(folder, 'proof.html'), join(folder, 'proof.jsonl')];
  // What a chunk buys of this shape, less a fifth, so that what a stage overdraws is made up for in
  // the next; and no more than any machine can do beside other work.
  const shape = { input: 192, output: 64 };
  const weight = calibration.output_weight;
  const cost = calibration.throughput_chunk_size * (2048 + weight * 256) / 2304;
  const requests = Math.min(0.8 * cost / (shape.input + weight * shape.output), 4);
  const sold = Math.floor(requests * (shape.input + shape.output));
  const window = Math.max(4, Math.ceil(6 / requests));
  const proved = await run([
    'bench', 'prove', server.url, '--model=sold', `--sold=${sold}`, `--input-tokens=${shape.input}`,
    `--output-tokens=${shape.output}`, '--budget=ttft_p95<20s,errors<1%', '--windows=3', `--window-s=${window}`,
    '--warmup-s=2', '--rest-s=2', '--retries=1', '--beyond=8', '--neighbour-model=neighbour', `--report=${page}`,
    `--evidence=${evidence}`, '--json', '--no-progress',
  ], { env: { PENSTOCK_API_KEY: server.adminKey }, seconds: 300 });
  const proof = JSON.parse(proved.stdout || '{}');
  const verdicts = Object.fromEntries(proof.promises.map(({ name, verdict }) => [name, verdict]));
  const why = JSON.stringify(proof.promises, null, 1);
  assert.equal(verdicts.delivery, 'kept', why);
  assert.equal(verdicts.neighbour, 'kept', why);
  assert.notEqual(verdicts.refusal, 'broken', why);
  assert.notEqual(verdicts.retry_after, 'broken', why);
  assert.equal(proof.windows.length, 3);
  for (const window of [...proof.windows, ...proof.neighbour_windows]) {
    assert.ok(window.delivered_tokens_per_s >= 0.98 * sold, why);
  }
  assert.equal(proved.code, 0, why);
  const html = readFileSync(page, 'utf8');
  assert.match(html, /Kept what was sold/);
  assert.ok(html.includes(proof.evidence_sha256));
  assert.ok(!html.includes(server.adminKey) && !readFileSync(evidence, 'utf8').includes(server.adminKey));
}

// A few lines in each format that others publish.
function writeTraces(folder) {
  const azure = join(folder, 'azure.csv');
  writeFileSync(azure, 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,80,5\n' +
    '2023-11-16 18:17:04.2319600,200,8\n2023-11-16 18:17:04.6319600,120,3\n');
  const burst = join(folder, 'burst.csv');
  writeFileSync(burst, 'Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n' +
    '0,ChatGPT,90,4,94,Conversation log\n1,ChatGPT,100,6,106,Conversation log\n');
  const mooncake = join(folder, 'mooncake.jsonl');
  writeFileSync(mooncake, '{"timestamp": 0, "input_length": 700, "output_length": 4, "hash_ids": [0, 1]}\n' +
    '{"timestamp": 300, "input_length": 600, "output_length": 5, "hash_ids": [0, 2]}\n');
  const servegen = join(folder, 'servegen');
  mkdirSync(servegen);
  writeFileSync(join(servegen, 'chunk-0-trace.csv'), '0,4,1,Gamma,1.0,0.5\n600,4,1,Gamma,1.0,0.5\n');
  writeFileSync(join(servegen, 'chunk-0-dataset.json'),
    '{"0": {"input_tokens": "{100: 0.5, 90: 0.5}", "output_tokens": "{5: 1.0}"}}');
  return { azure: [azure, 3], burst: [burst, 2], mooncake: [mooncake, 2], servegen: [servegen, undefined] };
}

test('traces of every format are replayed, with their times and lengths', async (t) => {
  const url = await kneeServer(t);
  const folder = temporaryFolder(t);
  for (const [format, [path, requests]] of Object.entries(writeTraces(folder))) {
    const records = join(folder, `${format}.jsonl`);
    const span = format === 'servegen' ? ['--trace-span-s=3'] : [];
    const replayed = await run(['bench', url, '--model=m', `--trace=${path}`, ...span, '--warmup-s=0',
      `--records=${records}`, '--json', '--no-progress']);
    assert.ok([0, 1].includes(replayed.code), `${format}: ${replayed.stderr}`);
    const lines = readFileSync(records, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    const sent = lines.filter((line) => line.kind === 'request' && line.phase === 'measured')
      .sort((a, b) => a.scheduled_ns - b.scheduled_ns);
    if (requests !== undefined) assert.equal(sent.length, requests, format);
    assert.ok(sent.length >= 2, format);
    for (const line of sent) assert.equal(line.output_tokens, line.output_tokens_wanted, format);
    if (format === 'azure') {
      assert.equal(sent[1].scheduled_ns - sent[0].scheduled_ns, 252_000_000);
      assert.deepEqual(sent.map((line) => line.output_tokens), [5, 8, 3]);
    }
    // Our own records are a trace, too.
    if (format !== 'azure') continue;
    const again = await run(['bench', url, '--model=m', `--trace=${records}`, '--warmup-s=0', '--json', '--no-progress']);
    assert.equal(JSON.parse(again.stdout).levels[0].measured, 3);
  }
});

test('unreadable data is named by its row and column', async (t) => {
  const url = await kneeServer(t);
  const folder = temporaryFolder(t);
  const cases = [
    ['--trace', 'a.csv', 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,many,5\n', /(row|line) 2.*ContextTokens/],
    ['--trace', 'b.csv', 'TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,7,5\n', /(row|line) 2.*TIMESTAMP/],
    ['--trace', 'c.jsonl', '{"timestamp": 0, "input_length": 7, "output_length": 4}\n{"timestamp": 0}\n', /(row|line) 2.*input_length/],
    ['--trace', 'd.csv', 'what,is,this\n1,2,3\n', /d\.csv/],
    ['--dataset', 'e.jsonl', '{"prompt": "good"}\n{"prompt": 7}\n', /(row|line) 2.*prompt/],
    ['--dataset', 'f.jsonl', '{"prompt": "good"}\n{"messages": [{"role": "user"}]}\n', /(row|line) 2.*(content|messages)/],
    ['--dataset', 'g.jsonl', 'not json\n', /(row|line) 1/],
  ];
  for (const [flag, name, text, wanted] of cases) {
    const path = join(folder, name);
    writeFileSync(path, text);
    const refused = await run(['bench', url, '--model=m', flag, path, '--no-progress']);
    assert.equal(refused.code, 2, `${name}: ${refused.stderr}`);
    assert.match(refused.stderr, wanted, name);
    assert.ok(refused.stderr.includes(name), refused.stderr);
  }
});

test('a budget that cannot be met is answered with the part that fails, and by how much', async (t) => {
  const url = await kneeServer(t, { baseMs: 20, eachMs: 1 });
  const found = await run(['bench', url, '--model=m', '--budget=ttft_p90<10s,tpot_p90<7ms', '--input-tokens=64',
    '--output-tokens=4', '--json', '--no-progress']);
  assert.equal(found.code, 1, found.stderr);
  const { answer, within_budget: within } = JSON.parse(found.stdout);
  assert.equal(within, null);
  assert.match(answer, /cannot be met: already at concurrency 1, tpot_p90 2\d(\.\d)? ms \(bound 7(\.00)? ms: \d+ % over\)/);
});

// Passes bytes on, and keeps them.
async function tappedPort(t, port) {
  const seen = [];
  const tap = createServer((inside) => {
    const outside = connect(port, '127.0.0.1');
    for (const [from, to] of [[inside, outside], [outside, inside]]) {
      from.on('data', (bytes) => { seen.push(bytes); to.write(bytes); });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  });
  await new Promise((done) => tap.listen(0, '127.0.0.1', done));
  t.after(() => tap.close());
  return { port: tap.address().port, seen };
}

async function startAgent(t, flags, env) {
  const child = spawn(kProgram, ['bench', 'agent', '--listen=127.0.0.1:0', ...flags], { env: { ...process.env, ...env } });
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return Number(/:(\d+)$/.exec(line)[1]);
}

test('no key crosses the network between coordinator and agent', async (t) => {
  const url = await kneeServer(t);
  const key = 'what only we two know';
  const words = ['bench', url, '--model=m', '--concurrency=2', '--requests=8', '--input-tokens=64', '--output-tokens=4',
    '--json', '--no-progress'];
  const env = { PENSTOCK_AGENT_KEY: key, PENSTOCK_API_KEY: 'sk-the-endpoints-own' };
  const plain = await tappedPort(t, await startAgent(t, [], { PENSTOCK_AGENT_KEY: key }));
  const secured = await tappedPort(t, await startAgent(t, ['--agent-tls'], { PENSTOCK_AGENT_KEY: key }));
  // The tap sees what there is to see, or it would prove nothing.
  assert.ok([0, 1].includes((await run([...words, `--agents=127.0.0.1:${plain.port}`], { env })).code));
  assert.ok(Buffer.concat(plain.seen).includes(env.PENSTOCK_API_KEY));
  const measured = await run([...words, `--agents=127.0.0.1:${secured.port}`, '--agent-tls'], { env });
  assert.ok([0, 1].includes(measured.code), measured.stderr);
  assert.equal(JSON.parse(measured.stdout).levels[0].succeeded, 8);
  const crossed = Buffer.concat(secured.seen);
  assert.ok(crossed.length > 2000);
  for (const secret of [key, env.PENSTOCK_API_KEY, 'knee', '"model"']) assert.ok(!crossed.includes(secret), secret);
  // Who does not know the key is neither believed nor told anything.
  const wrong = await run([...words, `--agents=127.0.0.1:${secured.port}`, '--agent-tls'],
    { env: { ...env, PENSTOCK_AGENT_KEY: 'a guess of enough bytes' } });
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /agents?:? .*certificate/i);
});

test('agents refuse what they cannot read, and go on', async (t) => {
  const port = await startAgent(t, [], { PENSTOCK_AGENT_KEY: 'k' });
  const ask = (path, body, key = 'k') => fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST', body, headers: { authorization: `Bearer ${key}` },
  });
  assert.equal((await ask('/session', '{}', 'wrong')).status, 401);
  for (const [path, body] of [['/session', 'nonsense'], ['/session', '{"url":7}'], ['/level/end', '{"cut":1}'],
    ['/session', '{"url":"ftp://x","start_ns":1}'], ['/session', '{"url":"http://h","start_ns":1,"agent":3,"agents":2}']]) {
    const answer = await ask(path, body);
    assert.equal(answer.status, 400, `${path} ${body}`);
    assert.ok((await answer.json()).error.message.length > 5);
  }
  assert.equal((await ask('/level', '{"start_ns":1}')).status, 409);
  assert.equal((await ask('/level', '{"start_ns":"x"}')).status, 400);
  assert.equal((await ask('/nothing', '{}')).status, 409);
  const listens = await run(['bench', 'agent', '--listen=0.0.0.0:0', '--agent-key=short']);
  assert.equal(listens.code, 2);
  assert.match(listens.stderr, /at least 16/);
});

test('a terminal gets one line that is redrawn, everything else plain lines', async (t) => {
  const url = await kneeServer(t);
  const words = ['bench', url, '--model=m', '--concurrency=2', '--requests=80', '--input-tokens=64', '--output-tokens=16'];
  const plain = await run(words);
  assert.ok([0, 1].includes(plain.code), plain.stderr);
  assert.match(plain.stderr, /^concurrency 2 .*\d+\/82/m);
  assert.ok(!plain.stderr.includes('\x1b'), 'no control characters outside a terminal');
  const shell = [kProgram, ...words].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', `stty cols 72; ${shell} > /dev/null`, '/dev/null'],
    { stdio: ['ignore', 'pipe', 'ignore'] });
  let drawn = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (drawn += text));
  await once(child, 'close');
  const frames = drawn.split('\r\x1b[2K');
  assert.ok(frames.length > 3, `redrawn in place: ${JSON.stringify(drawn.slice(0, 200))}`);
  for (const frame of frames) assert.ok([...frame.trimEnd()].length <= 72, frame);
  assert.match(drawn, /concurrency 2 .*tokens\/s/);
});

// What each request of a bad server is answered with, in turn; the first answers are good, for the fit.
const kEvent = (delta, finish = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const kToken = kEvent({ content: ' tok' });
const kEnd = (tokens = 4) => kEvent({}, 'length') +
  `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 64, completion_tokens: tokens } })}\n\n`;
const kDone = 'data: [DONE]\n\n';
const kFaults = {
  good: (answer) => answer.end(kToken.repeat(4) + kEnd() + kDone),
  html: (answer) => { answer.setHeader('content-type', 'text/html'); answer.end('<html>sign in</html>'); },
  earlyClose: (answer) => answer.socket.destroy(),
  closeMidStream: (answer) => { answer.write(kToken.repeat(2)); setTimeout(() => answer.socket?.destroy(), 50); },
  stall: (answer) => answer.write(kToken),
  splitCharacter: (answer) => answer.end(Buffer.concat([
    Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'), Buffer.from('é').subarray(0, 1),
    Buffer.from(`"}}]}\n\n${kToken.repeat(3)}${kEnd()}${kDone}`)])),
  noJson: (answer) => answer.end(`${kToken}data: {"choices": [\n\n${kToken.repeat(3)}${kEnd()}${kDone}`),
  oneJsonText: (answer) => answer.end('{"choices":[{"index":0,"message":{"content":"all at once"}}]}'),
  notEvents: (answer) => answer.end('this is no event stream\n\nat all\n\n'),
  noDone: (answer) => answer.end(kToken.repeat(4) + kEnd()),
  errorInStream: (answer) => answer.end(`${kToken.repeat(2)}data: {"error":{"message":"out of memory"}}\n\n`),
  usageTooSmall: (answer) => answer.end(kToken.repeat(4) + kEnd(2) + kDone),
  usageTooLarge: (answer) => answer.end(kToken.repeat(4) + kEnd(400) + kDone),
  status401: (answer) => { answer.statusCode = 401; answer.end('{"error":{"message":"who are you"}}'); },
  status404: (answer) => { answer.statusCode = 404; answer.end('{"error":{"message":"no such model"}}'); },
  status429: (answer) => {
    answer.statusCode = 429;
    answer.setHeader('retry-after', '3');
    answer.end('{"error":{"message":"slow down"}}');
  },
  status503: (answer) => { answer.statusCode = 503; answer.end('{"error":{"message":"warming up"}}'); },
};

test('a server with every fault there is: each is counted under its name, and the run goes on', async (t) => {
  const names = Object.keys(kFaults);
  let answered = 0;
  const server = http.createServer((request, response) => {
    request.on('data', () => {});
    request.on('end', () => {
      if (request.url.endsWith('/tokenize')) { response.statusCode = 404; return response.end('{}'); }
      response.setHeader('content-type', 'text/event-stream');
      const number = Number(/^bench-(\d+)$/.exec(request.headers['x-request-id'])?.[1]);
      // The requests that fit prompts have ids far beyond those of the load.
      if (number > 1e6) return kFaults.good(response);
      ++answered;
      kFaults[names[number % names.length]](response);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => { server.close(); server.closeAllConnections(); });
  const folder = temporaryFolder(t);
  const records = join(folder, 'run.jsonl');
  const requests = 2 * names.length;
  const measured = await run([
    'bench', `http://127.0.0.1:${server.address().port}`, '--model=m', '--concurrency=3', `--requests=${requests}`,
    '--warmup=0', '--input-tokens=64', '--output-tokens=4', '--stall-timeout-s=1', '--timeout-s=5',
    `--records=${records}`, '--json', '--no-progress',
  ]);
  assert.equal(measured.code, 1, 'most of it failed: the figures must not be used');
  // One that was cut on a kept connection, before any byte of an answer, is sent once more.
  assert.ok(answered >= requests && answered <= requests + 2, String(answered));
  const summary = JSON.parse(measured.stdout);
  assert.equal(summary.valid, false);
  assert.deepEqual(summary.levels[0].errors, {
    stalled: 2, rate_limited: 2, status: 6, stream: 2, truncated: 4, malformed: 4, not_a_stream: 6,
  });
  assert.equal(summary.levels[0].succeeded, 8, 'those without [DONE] and with a lying usage are usable');
  assert.equal(summary.levels[0].retry_after_ms.p50, 3000);
  const lines = readFileSync(records, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const about = (name) => lines.find((line) => line.kind === 'request' && line.id === names.indexOf(name));
  for (const [name, pattern] of [
    ['html', /text\/html came/], ['oneJsonText', /one JSON text came.*all at once/],
    ['notEvents', /no event came: this is no event stream/], ['noJson', /not a JSON object/], ['splitCharacter', /not UTF-8/],
    ['errorInStream', /out of memory/], ['status401', /401.*who are you/], ['status404', /404.*no such model/],
    ['status503', /503.*warming up/], ['stall', /nothing came for 1 s/],
  ]) assert.match(about(name).error_message, pattern, name);
  const odd = (name) => JSON.stringify(about(name));
  assert.match(odd('noDone'), /no_done/);
  assert.match(odd('usageTooSmall'), /usage_too_small/);
  assert.match(odd('usageTooLarge'), /usage_too_large/);
  // The same from the records alone.
  const again = await run(['bench', 'report', records, '--json']);
  assert.deepEqual(JSON.parse(again.stdout).levels[0].errors, summary.levels[0].errors);
});
