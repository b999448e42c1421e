// Pulling from a hub that cuts connections, lies about hashes and wants a token.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, temporaryFolder } from '../support/penstock.mjs';
import { startHub } from './hub.mjs';
import { makeModel } from './make.mjs';

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const kNoToken = { HF_TOKEN: '', HF_TOKEN_PATH: '/none' };

function repository(t, family = 'qwen2') {
  const folder = join(temporaryFolder(t), 'repository');
  makeModel(folder, family, { shards: 2 });
  writeFileSync(join(folder, 'README.md'), '---\nlicense: apache-2.0\n---\n# Tiny\n');
  writeFileSync(join(folder, 'setup.py'), 'print("not needed")');
  return folder;
}

const pull = (hub, output, { source = 'hf:org/tiny', env = {} } = {}) =>
  run(['model', 'pull', source, '--output', output, '--json'],
    { env: { ...kNoToken, HF_ENDPOINT: hub.url, ...env } });

test('every file arrives whole although connections are cut, and goes on where it stopped', async (t) => {
  const folder = repository(t);
  const hub = await startHub(t, folder, { cuts: 3 });
  const output = temporaryFolder(t);
  const pulled = await pull(hub, output);
  assert.equal(pulled.code, 0, pulled.stderr);
  const report = JSON.parse(pulled.stdout);
  assert.equal(report.commit, hub.commit);
  assert.equal(report.licence, 'apache-2.0');
  for (const name of ['config.json', 'tokenizer.json', 'model-1-of-2.safetensors', 'model-2-of-2.safetensors']) {
    assert.equal(sha256(join(output, 'org/tiny', name)), sha256(join(folder, name)), name);
  }
  assert.equal(existsSync(join(output, 'org/tiny/setup.py')), false, 'code is not pulled');
  assert.ok(hub.requests.some(({ headers }) => headers.range), 'it went on, and did not start over');

  const before = hub.requests.length;
  assert.equal((await pull(hub, output)).code, 0);
  assert.equal(hub.requests.length, before + 1, 'what is there is not fetched again: the list alone');
});

test('a file that is not what the hub promised is thrown away, with both hashes', async (t) => {
  const hub = await startHub(t, repository(t), { lie: 'model-1-of-2.safetensors' });
  const output = temporaryFolder(t);
  const pulled = await pull(hub, output);
  assert.equal(pulled.code, 1);
  assert.match(pulled.stderr, /model-1-of-2\.safetensors has the SHA-256 [0-9a-f]{64}, the hub promised [0-9a-f]{64}/);
  assert.equal(existsSync(join(output, 'org/tiny/model-1-of-2.safetensors')), false);
  assert.equal(existsSync(join(output, 'org/tiny/model-1-of-2.safetensors.part')), false);
  const small = await startHub(t, repository(t), { lie: 'config.json' });
  assert.match((await pull(small, temporaryFolder(t))).stderr, /config\.json has the git hash/);
});

test('a closed repository wants a token, which no other host sees', async (t) => {
  const hub = await startHub(t, repository(t), { token: 'hf_secret' });
  const refused = await pull(hub, temporaryFolder(t));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /401.*token/);
  const pulled = await pull(hub, temporaryFolder(t), { env: { HF_TOKEN: 'hf_secret' } });
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(pulled.stderr.includes('hf_secret'), false);
  const elsewhere = hub.requests.filter(({ host }) => host === 'storage');
  assert.ok(elsewhere.length > 0);
  assert.ok(elsewhere.every(({ headers }) => headers.authorization === undefined));
});

test('what does not exist is named', async (t) => {
  const hub = await startHub(t, repository(t));
  assert.match((await pull(hub, temporaryFolder(t), { source: 'hf:org/none' })).stderr, /org\/none.*does not exist/);
  assert.match((await pull(hub, temporaryFolder(t), { source: 'hf:org/tiny:x.gguf' })).stderr, /no file x\.gguf/);
  const wrong = await pull(hub, temporaryFolder(t), { source: 'hf:../../etc' });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /hf:ORG\/NAME/);
});

test('the server pulls, converts and registers; a restart goes on', async (t) => {
  const hub = await startHub(t, repository(t), { cuts: 1 });
  const server = await Server.start(t, { flags: ['--hub-endpoint', hub.url], env: kNoToken });
  const pulled = await run(['model', 'pull', 'hf:org/tiny', 'main.hub.tiny', '--type', 'q8_0',
    '--data-dir', server.dataDirectory, '--json']);
  assert.equal(pulled.code, 0, pulled.stderr);
  const version = JSON.parse(pulled.stdout);
  assert.equal(version.status, 'READY');
  assert.equal(version.source, 'hf:org/tiny');
  assert.equal(version.licence, 'apache-2.0');
  assert.equal(version.format.architecture, 'qwen2');
  assert.ok(existsSync(version.storage_location));

  const gone = await run(['model', 'pull', 'hf:org/none', 'main.hub.none', '--data-dir', server.dataDirectory]);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /does not exist/);
  const { json } = await server.call('GET', '/api/2.1/unity-catalog/models/main.hub.none/versions/1');
  assert.equal(json.status, 'FAILED_REGISTRATION');
});

test('one GGUF file of a repository is served as it lies', async (t) => {
  const folder = join(temporaryFolder(t), 'repository');
  mkdirSync(folder);
  copyFileSync(await synthesise('toy'), join(folder, 'toy.gguf'));
  const hub = await startHub(t, folder);
  const server = await Server.start(t, { flags: ['--hub-endpoint', hub.url], env: kNoToken });
  const pulled = await run(['model', 'pull', 'hf:org/tiny', 'main.hub.toy', '--data-dir', server.dataDirectory, '--json']);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(JSON.parse(pulled.stdout).storage_location, /hub\/org\/tiny\/toy\.gguf$/);
});
