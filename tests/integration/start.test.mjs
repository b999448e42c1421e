// What keeps the program from starting or a model from being registered: clear words and exit codes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, kProgram, run, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const serve = (folder, ...flags) =>
  run(['serve', '--data-dir', folder, '--listen', '127.0.0.1:0', ...flags], { seconds: 20 });

test('the admin key is made at the first start, for its owner alone, and stays', async (t) => {
  const server = await Server.start(t);
  const path = join(server.dataDirectory, 'admin.key');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(server.log.includes(server.adminKey), false, 'the log never holds a key');
  await server.stop();
  const again = await Server.start(t, { dataDirectory: server.dataDirectory });
  assert.equal(again.adminKey, server.adminKey);
  assert.equal((await again.call('GET', '/v1/models')).status, 200);
});

// `run/url` says that the server is there; whoever believes it must find what the server serves.
test('the first request of all finds its endpoint', async (t) => {
  const model = createHttpServer((request, response) => response.end('{"choices":[],"usage":{}}'));
  await new Promise((resolve) => model.listen(0, '127.0.0.1', resolve));
  t.after(() => { model.close(); model.closeAllConnections(); });
  for (let i = 0; i < 12; ++i) {
    const server = new Server(temporaryFolder(t),
      ['--static-endpoint', `chat=http://127.0.0.1:${model.address().port}`]);
    t.after(() => server.kill());
    const file = join(server.dataDirectory, 'run/url');
    const end = Date.now() + 30_000;
    while (!existsSync(file) && Date.now() < end) await new Promise(setImmediate);  // Not a moment lost.
    server.url = readFileSync(file, 'utf8').trim();
    server.adminKey = readFileSync(join(server.dataDirectory, 'admin.key'), 'utf8').trim();
    const first = await server.call('POST', '/v1/completions', { model: 'chat', prompt: 'a' });
    assert.equal(first.status, 200, first.text);
    await server.kill();
  }
});

test('a data directory in use is refused, naming the process that holds it', async (t) => {
  const server = await Server.start(t);
  const second = await serve(server.dataDirectory);
  assert.equal(second.code, 2);
  assert.match(second.stderr, new RegExp(`in use by process ${server.process.pid}\\b`));
  assert.equal((await server.call('GET', '/-/healthy')).status, 200);
});

test('a data directory that is a file, or cannot be written to, is refused by name', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'file');
  writeFileSync(file, 'text');
  const onFile = await serve(file);
  assert.equal(onFile.code, 2);
  assert.match(onFile.stderr, /file.*(directory|Not a directory)/i);
  const below = await serve(join(file, 'deeper'));
  assert.equal(below.code, 2);
  // root may write everywhere but to /proc.
  const readOnly = process.getuid() === 0 ? '/proc/penstock' : join(folder, 'read-only');
  if (process.getuid() !== 0) {
    mkdirSync(readOnly);
    chmodSync(readOnly, 0o500);
  }
  const refused = await serve(readOnly);
  assert.equal(refused.code, 2);
  assert.ok(refused.stderr.includes(readOnly), refused.stderr);
});

test('a port in use is refused by name', async (t) => {
  const holder = createServer();
  await new Promise((resolve) => holder.listen(0, '127.0.0.1', resolve));
  t.after(() => holder.close());
  const address = `127.0.0.1:${holder.address().port}`;
  const refused = await run(['serve', '--data-dir', temporaryFolder(t), '--listen', address], { seconds: 20 });
  assert.equal(refused.code, 2);
  assert.ok(refused.stderr.includes(address), refused.stderr);
  assert.match(refused.stderr, /in use/i);
});

test('listening beyond loopback wants its flag', async (t) => {
  const refused = await run(['serve', '--data-dir', temporaryFolder(t), '--listen', '0.0.0.0:0'], { seconds: 20 });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /--listen-beyond-loopback/);
});

test('wrong flags and values are refused by name', async () => {
  for (const [words, message] of [
    [['serve', '--nonsense'], /--nonsense/],
    [['serve', '--io-threads', '0'], /--io-threads.*1.*256/],
    [['serve', '--drain-wait-max-s', 'soon'], /--drain-wait-max-s/],
    [['bench'], /URL|--model/],
    [['engine'], /--model/],
    [['model', 'synth', '--size', 'huge', '--output', '/dev/null'], /huge/],
    [['fly'], /fly|subcommand/i],
  ]) {
    const refused = await run(words);
    assert.equal(refused.code, 2, words.join(' '));
    assert.match(refused.stdout + refused.stderr, message);
  }
});

test('--port-file gets the port', async (t) => {
  const file = join(temporaryFolder(t), 'port');
  const server = await Server.start(t, { flags: ['--port-file', file] });
  assert.ok(existsSync(file));
  assert.equal(Number(readFileSync(file, 'utf8')), server.port);
});

test('a start that fails late ends, too, and names the flag', async (t) => {
  const folder = temporaryFolder(t);
  const refused = await serve(folder, '--port-file', join(folder, 'none/port'));
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /--port-file .*none\/port/);
  mkdirSync(join(folder, 'run/url'), { recursive: true });
  const blocked = await serve(folder);
  assert.equal(blocked.code, 2, blocked.stderr);
  assert.match(blocked.stderr, /run\/url/);
});

test('without a server the commands say so, after a stop and after a kill', async (t) => {
  const server = await Server.start(t);
  await server.stop();
  assert.equal(existsSync(join(server.dataDirectory, 'run/url')), false);
  const list = () => run(['endpoint', 'list', '--data-dir', server.dataDirectory]);
  const stopped = await list();
  assert.equal(stopped.code, 2);
  assert.match(stopped.stderr, /no server runs on .*penstock serve/);
  const again = await Server.start(t, { dataDirectory: server.dataDirectory });
  again.process.kill('SIGKILL');
  await again.ended;
  const killed = await list();
  assert.equal(killed.code, 2);
  assert.match(killed.stderr, /no server runs on .*run\/url is stale/);
});

test('words, numbers and keys that are none are named, with what there is', async (t) => {
  const folder = temporaryFolder(t);
  const config = join(folder, 'config.yaml');
  const says = async (words, pattern, env = {}) => {
    const { code, stderr } = await run(words, { env });
    assert.equal(code, 2, `${words}: ${stderr}`);
    assert.match(stderr, pattern);
  };
  await says(['nosuch'], /'nosuch' is not a subcommand of penstock; there are: serve, /);
  await says(['endpoint', 'frob'], /'frob' is not a subcommand of penstock endpoint; there are: create, /);
  await says(['endpoint'], /penstock endpoint needs a subcommand: create/);
  await says(['bench', 'http://h', '--requests', '99999999999'], /--requests: must be a whole number from .* got '99999999999'/);
  await says(['bench', 'http://h', '--concurrency', '1,x'], /--concurrency: must be a whole number .* got 'x'/);
  await says(['bench', 'http://h', '--api-key-file', '/none'], /--api-key-file: .*\/none/);
  for (const words of [['prove', 'http://h', '--sold=1', '--budget=ttft_p95<1s'], ['compare', 'a', 'b']]) {
    await says(['bench', ...words, '--records', 'x'],
      new RegExp(`--records is a flag of .penstock bench., and not of .penstock bench ${words[0]}.`));
  }
  await says(['bench', 'http://h', '--tokenizer', '/none'], /--tokenizer: .*\/none/);
  await says(['serve', '--data-dir', folder, '--static-policies', '/none'], /--static-policies \/none: /);
  const policies = join(folder, 'policies.json');
  for (const [text, said] of [
    ['{"endpoints": {"a": {"guarantee_cost": 5}}}', /policies\.json: endpoints\.a\.guarantee_cost: there is no such field; .*guarantee_cost_per_s/],
    ['{"pools": {"p": {"queue": 5}}}', /pools\.p\.queue: there is no such field; .*queue_max/],
    ['{"endpoint": {}}', /endpoint: there is no such field; there are pools, endpoints/],
    ['{"endpoints": {"a": {"rate_limits": [{"call": 5, "tokens": 1}]}}}', /rate_limits\[0\]\.call: there is no such field/],
  ]) {
    writeFileSync(policies, text);
    await says(['serve', '--data-dir', folder, '--static-endpoint', 'a=http://127.0.0.1:1', '--static-policies', policies],
      said);
  }
  writeFileSync(config, 'serve: {listne: x}');
  await says(['serve', '--config', config], /config\.yaml: 'listne' is not a flag of penstock serve/);
  writeFileSync(config, 'servee: {listen: x}');
  await says(['serve', '--config', config], /config\.yaml: 'servee' is not a subcommand/);
  const prices = join(folder, 'prices');
  writeFileSync(prices, 'x');
  await says(['serve', '--data-dir', folder, '--price-table', prices], /--price-table .*prices: it is not JSON/);
  const version = await run(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^penstock \d/);
});

test('a variable is of its subcommand', async (t) => {
  const named = await run(['engine', '--help'], { env: { PENSTOCK_MODEL: '/another' } });
  assert.match(named.stdout, /PENSTOCK_ENGINE_MODEL/);
  const missing = await run(['endpoint', 'create', 'x', '--data-dir', temporaryFolder(t)], { env: { PENSTOCK_MODEL: 'main.a.b' } });
  assert.match(missing.stderr, /--model is required/);
  const given = await run(['endpoint', 'create', 'x', '--data-dir', temporaryFolder(t)],
    { env: { PENSTOCK_ENDPOINT_CREATE_MODEL: 'main.a.b' } });
  assert.match(given.stderr, /no server runs on/);
});

test('what is cut off of a synthetic model is removed', async (t) => {
  const folder = temporaryFolder(t);
  const child = spawn(kProgram, ['model', 'synth', '--size', '1.1b', '--output', join(folder, 'big.gguf')]);
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.on('close', resolve));
  await until('it writes', () => readdirSync(folder).length > 0);
  child.kill('SIGINT');
  assert.equal(await ended, 1);
  assert.deepEqual(readdirSync(folder), []);
});

// Files that are no model: each with a word of the message.
async function badModels(folder) {
  const good = await synthesise('toy');
  const files = {};
  const add = (name, make) => make(files[name] = join(folder, `${name}.gguf`));
  add('empty', (path) => writeFileSync(path, ''));
  add('foreign', (path) => writeFileSync(path, 'PK\x03\x04 this is an archive, and no model at all'));
  add('head-cut', (path) => (copyFileSync(good, path), truncateSync(path, 1000)));
  add('tensors-cut', (path) => (copyFileSync(good, path), truncateSync(path, statSync(good).size - 4096)));
  files.missing = join(folder, 'missing.gguf');
  files.folder = folder;
  return files;
}

test('a file that is no whole model is refused at registration', async (t) => {
  const server = await Server.start(t);
  for (const [name, path] of Object.entries(await badModels(temporaryFolder(t)))) {
    const refused = await run(['model', 'register', 'main.test.bad', '--file', path,
      '--data-dir', server.dataDirectory]);
    assert.equal(refused.code, 1, `${name}: ${refused.stderr}`);
    assert.match(refused.stderr, /answered 4\d\d: ./, name);
  }
  const { json } = await server.call('GET', '/api/2.1/unity-catalog/models');
  assert.equal(JSON.stringify(json).includes('main.test.bad'), false, 'nothing was registered');
});

test('an endpoint whose model is cut after registration says why it does not start', async (t) => {
  const server = await Server.start(t);
  const path = join(temporaryFolder(t), 'cut.gguf');
  copyFileSync(await synthesise('toy'), path);
  const made = await run(['model', 'register', 'main.test.cut', '--file', path,
    '--data-dir', server.dataDirectory]);
  assert.equal(made.code, 0, made.stderr);
  truncateSync(path, statSync(path).size - 4096);
  const created = await server.createEndpoint('cut');
  assert.equal(created.status, 200, created.text);
  await assert.rejects(server.endpointReady('cut', { seconds: 3 }));
  const shown = await run(['endpoint', 'get', 'cut', '--data-dir', server.dataDirectory]);
  assert.match(shown.stdout, /"ready": "NOT_READY"/);
  assert.match(shown.stdout, /"deployment_state_message": ".*(exit|ended|code 2)/);
});

test('an engine refuses a file that is no whole model, naming it', async (t) => {
  for (const [name, path] of Object.entries(await badModels(temporaryFolder(t)))) {
    const refused = await run(['engine', '--model', path, '--listen', '127.0.0.1:0'], { seconds: 20 });
    assert.equal(refused.code, 2, `${name}: ${refused.code} ${refused.signal} ${refused.stderr}`);
    assert.ok(refused.stderr.includes(path), `${name}: ${refused.stderr}`);
  }
});
