// `penstock top` on a terminal of its own, and without one.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { Server, kProgram, run, synthesise, until } from '../support/penstock.mjs';

// Runs `words` on a pseudo-terminal of `rows` × `columns`; what it showed grows in `shown`.
function onTerminal(t, words, rows, columns) {
  const line = `stty rows ${rows} columns ${columns}; exec ${[kProgram, ...words].join(' ')}`;
  const child = spawn('script', ['-qfec', line, '/dev/null'], { stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  const terminal = { shown: '', child };
  child.stdout.setEncoding('utf8').on('data', (text) => (terminal.shown += text));
  terminal.ended = new Promise((done) => child.on('close', done));
  return terminal;
}

test('top shows endpoints at work, until q', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  let over = false;
  t.after(() => (over = true));
  const load = (async () => {
    while (!over) await server.call('POST', '/v1/completions', { model: 'toy', prompt: 'a', max_tokens: 5, stream: true });
  })();
  const words = ['top', '--data-dir', server.dataDirectory, '--interval-s', '1'];
  const terminal = onTerminal(t, words, 12, 100);
  await until('it shows a rate', () => /toy +\d/.test(terminal.shown.split('\x1b[H').at(-2) ?? ''));
  const frame = terminal.shown.split('\x1b[H').at(-2);
  assert.match(frame, /ENDPOINT/);
  assert.match(frame, /1 endpoint /);
  assert.match(frame, /q quit/);
  assert.match(frame, /1\/1/, 'replicas');
  assert.equal(frame.split('\n').length, 12, 'as high as the terminal');
  terminal.child.stdin.write('u');
  terminal.child.stdin.write('q');
  assert.equal(await terminal.ended, 0);
  assert.ok(terminal.shown.includes('\x1b[?1049l'), 'the screen is given back');

  const lines = await run([...words, '--count', '2']);
  assert.equal(lines.code, 0, lines.stderr);
  assert.equal(lines.stdout.trim().split('\n').length, 2);
  assert.match(lines.stdout, /^\d\d:\d\d:\d\d endpoint=toy requests_per_s=[1-9\d.]+ .* replicas=1\/1$/m);
  over = true;
  await load;
});

test('an endpoint that was deleted is gone from /metrics and from top', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  const words = ['top', '--data-dir', server.dataDirectory, '--interval-s', '1', '--count', '1', '--endpoint', 'toy'];
  const before = await run(words);
  assert.equal(before.code, 0, before.stderr);
  assert.match(before.stdout, /endpoint=toy/);
  const deleted = await run(['endpoint', 'delete', 'toy', '--data-dir', server.dataDirectory]);
  assert.deepEqual([deleted.code, deleted.stdout], [0, '']);
  await until('it is gone', async () => !(await server.call('GET', '/metrics')).text.includes('"toy"'));
  const after = await run(words);
  assert.equal(after.code, 1);
  assert.match(after.stderr, /--endpoint toy: there is none/);
});

test('top without a server says so', async () => {
  const { code, stderr } = await run(['top', '--server', 'http://127.0.0.1:1', '--api-key', 'x']);
  assert.notEqual(code, 0);
  assert.match(stderr, /127\.0\.0\.1:1/);
});
