// Differential test against Node's own server (llhttp): of any stream of bytes, the messages that we
// accept are the ones that it finds, with the same methods, targets and bodies, in the same order.
// It may go on where we refuse; the other way round would be a door for request smuggling.
//
//   READ_MESSAGES=build/dev/src/http/http_read_messages node --test src/http/llhttp_test.mjs

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import http from 'node:http';
import { Duplex } from 'node:stream';
import { test } from 'node:test';

const kStreams = 1500;
const kSeed = Number(process.env.SEED ?? 1);

// The same numbers on every machine.
function makeRandom(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');

// One request of the kind that smugglers send: nearly right.
function makeRequest(random) {
  const pick = (...choices) => choices[random(choices.length)];
  const rarely = (usual, ...odd) => (random(25) === 0 ? pick(...odd) : usual);
  const end = () => rarely('\r\n', '\n', '\r', ' \r\n', '\r\n ', '\r\r\n');
  const field = (name, value) =>
    rarely('', ' ', '\t') + name + rarely(': ', ':', ' : ', ':\t', '') + value + rarely('', ' ', '\0') +
    end();
  let text = pick('GET', 'POST', 'PUT', 'OPTIONS') + rarely(' ', '  ', '\t') +
    pick('/', '/a?b', '/%20') + rarely(' ', '  ') +
    rarely('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 ') + end();
  text += rarely(field('Host', 'h'), '', field('Host', 'h') + field('host', 'i'));
  if (random(3) === 0) text += field(pick('X', 'Cookie', 'X_Y'), pick('a', '', 'b\tc', '\xe4'));
  const framing = random(6);
  const length = pick('5', '5', '05', '+5', '5,5', '5 5', '-5', '0x5', '6', '18446744073709551621');
  const coding = pick('chunked', 'Chunked', 'chunked, chunked', 'gzip, chunked', 'xchunked',
    '\x0bchunked', 'identity', 'chunked;q=1');
  const lengthFirst = random(2) === 0;
  if (framing >= 1 && framing <= 2) text += field(pick('Content-Length', 'content-length'), length);
  if (framing >= 3 && framing <= 4) text += field('Transfer-Encoding', rarely('chunked', coding));
  if (framing === 5) {
    const both = [field('Content-Length', length), field('Transfer-Encoding', coding)];
    text += lengthFirst ? both.join('') : both.reverse().join('');
  }
  text += rarely('\r\n', '\n', '\r\n\r\n');
  if (framing === 0) return text;
  if (framing <= 2) return text + 'hello';
  return text + rarely('5', '05', '5;a=b', '5 ', '0x5', '5;\n', ' 5', '5 ;a', '') + end() + 'hello' +
    end() + rarely('0', '00', '0;x', '') + end() + rarely('', 'T: 1\r\n', 'T : 1\r\n', 'T\r\n') +
    rarely('\r\n', '\n', '\r');
}

function makeStream(random) {
  let text = '';
  for (let requests = 1 + random(3); requests > 0; --requests) text += makeRequest(random);
  return text + 'GET /last HTTP/1.1\r\nHost: h\r\n\r\n';
}

// What Node's server finds in `text`, which it gets in pieces that end at `ends`. It must be given
// the time to tell of a message before a mistake behind it ends everything.
async function readWithNode(server, text, ends) {
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, done) { done(); },
  });
  socket.setTimeout = () => socket;
  socket.setNoDelay = () => socket;
  socket.setKeepAlive = () => socket;
  socket.on('error', () => {});
  socket.found = [];
  server.emit('connection', socket);
  let start = 0;
  for (const end of [...ends, text.length]) {
    socket.push(Buffer.from(text.slice(start, end), 'latin1'));
    start = end;
    for (let turns = 0; turns < 4; ++turns) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.destroy();
  return socket.found;
}

function makeServer() {
  const server = http.createServer((request, response) => {
    const message = { method: request.method, target: request.url, body: [], whole: false };
    request.socket.found.push(message);
    request.on('data', (data) => message.body.push(data));
    request.on('end', () => {
      message.whole = true;
      response.end();
    });
    request.on('error', () => {});
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

function readWithUs(streams) {
  const input = Buffer.concat(streams.flatMap((text) => {
    const bytes = Buffer.from(text, 'latin1');
    return [Buffer.from(`${bytes.length}\n`), bytes];
  }));
  const { status, stdout } = spawnSync(process.env.READ_MESSAGES, { input, maxBuffer: 1 << 28 });
  assert.equal(status, 0);
  return stdout.toString().split('\n').slice(0, -1).map((line) => line.trim().split(' ').filter(Boolean));
}

test('what we accept, llhttp finds too', async () => {
  const random = makeRandom(kSeed);
  const streams = Array.from({ length: kStreams }, () => makeStream(random));
  const ours = readWithUs(streams);
  assert.equal(ours.length, kStreams);
  const server = makeServer();
  let accepted = 0;
  let refused = 0;
  for (let i = 0; i < kStreams; ++i) {
    const ends = ours[i].map((message) => Number(message.split(':')[0]));
    const mine = ours[i].map((message) => message.slice(message.indexOf(':') + 1));
    const theirs = (await readWithNode(server, streams[i], ends))
      .filter((message) => message.whole)
      .map(({ method, target, body }) =>
        `${hex(method)}:${hex(target)}:${Buffer.concat(body).toString('hex')}`);
    assert.deepEqual(mine, theirs.slice(0, mine.length),
      `seed ${kSeed}, stream ${i}: ${JSON.stringify(streams[i])}`);
    accepted += mine.length;
    refused += theirs.length - mine.length;
  }
  // The test must be able to fail: both kinds must be common.
  assert.ok(accepted > kStreams / 4, `only ${accepted} messages were accepted`);
  assert.ok(refused > 20, `llhttp accepts only ${refused} messages that we refuse`);
});
