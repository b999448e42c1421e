// The real server against peers that are slow, oversized, half gone or ambiguous, over real sockets.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { request } from 'node:http';
import { after, before, test } from 'node:test';

import { Server, temporaryFolder, until } from '../support/penstock.mjs';
import { exchange, readByNode, statusesOf } from '../support/raw.mjs';

const kFlags = ['--head-wait-max-s', '1', '--body-wait-max-s', '1', '--idle-max-s', '2',
  '--head-bytes-max', '4096', '--body-bytes-max', '65536'];
let server;
let target;
const afters = [];

before(async () => {
  server = await Server.start({ after: (end) => afters.push(end) }, { flags: kFlags });
  target = { host: '127.0.0.1', port: server.port };
});
after(async () => {
  for (const end of afters.reverse()) await end();
});

const post = (length, extra = '') => `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n` +
  `Authorization: Bearer ${server.adminKey}\r\nContent-Type: application/json\r\n` +
  `Content-Length: ${length}\r\n${extra}\r\n`;
const answered = (text) => text.includes('\r\n\r\n') && text.endsWith('}');

test('health, readiness and metrics answer without a key', async () => {
  const none = { key: null };
  assert.equal((await server.call('GET', '/-/healthy', undefined, none)).status, 200);
  assert.equal((await server.call('GET', '/-/ready', undefined, none)).status, 200);
  const metrics = await server.call('GET', '/metrics', undefined, none);
  assert.equal(metrics.status, 200);
  assert.match(metrics.text, /^penstock_build_info\{version="[^"]+"\} 1$/m);
});

test('no key and a wrong key are 401, on each kind of path', async () => {
  for (const [method, path, body] of [
    ['GET', '/v1/models'], ['POST', '/v1/chat/completions', { model: 'x', messages: [] }],
    ['GET', '/api/2.0/serving-endpoints'], ['POST', '/serving-endpoints/x/invocations', {}],
  ]) {
    for (const key of [null, 'wrong']) {
      const { status, text } = await server.call(method, path, body, { key });
      assert.equal(status, 401, `${method} ${path}`);
      assert.doesNotMatch(text, /wrong/, 'a key is never repeated');
    }
  }
});

test('a head over its limit is 431 and says the limit', async () => {
  const head = `GET /-/healthy HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(5000)}\r\n\r\n`;
  const { text } = await exchange(target, [head]);
  assert.deepEqual(statusesOf(text), [431]);
  assert.match(text, /4096/);
});

test('a body over its limit is 413 and says the limit, announced or chunked', async () => {
  const announced = await exchange(target, [post(70_000)]);
  assert.deepEqual(statusesOf(announced.text), [413]);
  assert.match(announced.text, /65536/);
  const head = post(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  const chunked = await exchange(target, [head, chunk, chunk, chunk, chunk, chunk]);
  assert.deepEqual(statusesOf(chunked.text), [413]);
});

test('a slow head and a slow body are 408; what never starts is closed without a word', async () => {
  const head = await exchange(target, ['GET /-/healthy HT']);
  assert.deepEqual(statusesOf(head.text), [408]);
  assert.ok(head.ended);
  const body = await exchange(target, [post(100), '{"model"']);
  assert.deepEqual(statusesOf(body.text), [408]);
  assert.ok(body.ended);
  const silent = await exchange(target, []);
  assert.deepEqual(silent, { text: '', ended: true });
});

test('a client that half-closes after its request still gets its answer', async () => {
  const request = 'GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n';
  const { text, ended } = await exchange(target, [request], { halfClose: true });
  assert.deepEqual(statusesOf(text), [200]);
  assert.ok(ended);
});

test('a client that half-closes within its body is cut or refused, and nothing hangs', async () => {
  const { text, ended } = await exchange(target, [post(100), '{'], { halfClose: true, seconds: 10 });
  assert.ok(ended);
  assert.ok(statusesOf(text).every((status) => status === 400 || status === 408), text);
});

test('pipelined requests are answered in order', async () => {
  const one = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const { text } = await exchange(target, [one('/-/healthy') + one('/nowhere') + one('/-/ready')],
      { halfClose: true });
  assert.deepEqual(statusesOf(text), [200, 404, 200]);
});

const kSmuggling = {
  'two lengths': 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
  'length and chunked': 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'chunked twice': 'Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n',
  'chunked not last': 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  'unknown coding': 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'space before the colon': 'Content-Length : 5\r\n\r\nhello',
  'signed length': 'Content-Length: +5\r\n\r\nhello',
  'hexadecimal length': 'Content-Length: 0x5\r\n\r\nhello',
  'list of lengths': 'Content-Length: 5, 5\r\n\r\nhello',
  'length beyond 64 bits': 'Content-Length: 99999999999999999999\r\n\r\nhello',
  'folded line': 'X: a\r\n Content-Length: 5\r\n\r\n',
  'bare line feed': 'Content-Length: 0\nX: b\r\n\r\n',
  'bare carriage return': 'X: a\rContent-Length: 5\r\n\r\n',
  'zero byte': 'X: a\0b\r\n\r\n',
  'second host': 'Host: b\r\n\r\n',
  'chunk size with sign': 'Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n',
  'chunk size with prefix': 'Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
  'chunk longer than said': 'Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n',
};
for (const [what, rest] of Object.entries(kSmuggling)) {
  test(`smuggling refused: ${what}`, async () => {
    const bytes = `POST /v1/models HTTP/1.1\r\nHost: a\r\n${rest}`;
    // What follows must never be read as a request of its own.
    const { text, ended } = await exchange(target, [Buffer.from(bytes + 'GET /-/healthy HTTP/1.1\r\n' +
      'Host: a\r\n\r\n', 'latin1')], { seconds: 10 });
    assert.ok(ended, 'the connection is closed');
    assert.deepEqual(statusesOf(text).filter((status) => status === 200), [], text);
    assert.ok(statusesOf(text).length <= 1, text);
  });
}

test('whatever is accepted, node reads with the same borders', async () => {
  const bodies = ['Content-Length: 5\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n', 'Content-Length: 0\r\n\r\n',
    '\r\n', 'CONTENT-LENGTH:5\r\n\r\nhello', ...Object.values(kSmuggling)];
  let agreed = 0;
  for (const rest of bodies) {
    const next = 'GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n';
    const bytes = Buffer.from(`POST /-/healthy HTTP/1.1\r\nHost: a\r\n${rest}${next}`, 'latin1');
    const ours = statusesOf((await exchange(target, [bytes], { halfClose: true })).text);
    if (ours.length !== 2 || ours[1] !== 200) continue;
    const nodes = await readByNode(bytes);
    assert.deepEqual(nodes.map((each) => each.target), ['/-/healthy', '/-/healthy'], rest);
    agreed += 1;
  }
  assert.ok(agreed >= 6, `only ${agreed} were accepted`);
});

test('a Unix socket serves the same paths', async (t) => {
  const socketPath = join(temporaryFolder(t), 'socket');
  await Server.start(t, { flags: ['--listen', `unix:${socketPath}`] });
  const status = await new Promise((resolve, reject) => {
    request({ socketPath, path: '/-/healthy' }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    }).on('error', reject).end();
  });
  assert.equal(status, 200);
});

test('out of descriptors, clients wait and then are served; the process does not spin', async (t) => {
  const few = await Server.start(t, { limit: 40 });
  const held = [];
  t.after(() => held.forEach((socket) => socket.destroy()));
  for (let i = 0; i < 60; i++) {
    held.push(connect(few.port, '127.0.0.1').on('error', () => {}));
  }
  await until('the last of them is connected', () => held.at(-1).readyState === 'open');
  const waiting = few.call('GET', '/-/healthy');
  const before = few.cpuSeconds();
  const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 1000, null))]);
  assert.equal(early, null, 'with no descriptor left nobody can be answered');
  assert.ok(few.cpuSeconds() - before < 0.5, 'waiting costs next to nothing');
  held.forEach((socket) => socket.destroy());
  assert.equal((await waiting).status, 200);
});
