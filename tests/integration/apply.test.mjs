// penstock apply, endpoint, key, billing and completion against a real server.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise } from '../support/penstock.mjs';

test('apply shows the difference, asks, and brings it about', async (t) => {
  const server = await Server.start(t);
  const command = (...words) => run([...words, '--data-dir', server.dataDirectory]);
  await command('model', 'register', 'main.test.m', '--file', await synthesise('toy'));
  const file = join(server.dataDirectory, 'endpoints.yaml');
  const write = (maximum) => writeFileSync(file, `endpoints:
  - name: chat
    config:
      served_entities:
        - {entity_name: main.test.m, entity_version: 1, min_provisioned_throughput: 10,
           max_provisioned_throughput: ${maximum}}
    tags: [{key: team, value: search}]
`);
  write(100);
  const asked = await command('apply', '-f', file);
  assert.equal(asked.code, 1);
  assert.match(asked.stdout, /^create chat\n/);
  assert.match(asked.stdout, /\+ config\.served_entities\[0\]\.max_provisioned_throughput: 100/);
  assert.match(asked.stderr, /--yes/);
  assert.equal((await server.call('GET', '/api/2.0/serving-endpoints/chat')).status, 404);

  assert.equal((await command('apply', '-f', file, '--yes')).code, 0);
  const waited = await command('endpoint', 'wait', 'chat');
  assert.equal(waited.code, 0, waited.stderr);
  assert.match(waited.stdout, /^endpoint chat: READY/);
  const same = await command('apply', '-f', file);
  assert.equal(same.code, 0, same.stdout);
  assert.equal(same.stdout, 'same chat\n');

  write(200);
  const changed = await command('apply', '-f', file, '--yes');
  assert.equal(changed.code, 0, changed.stderr);
  assert.match(changed.stdout, /- config\.served_entities\[0\]\.max_provisioned_throughput: 100/);
  assert.match(changed.stdout, /\+ config\.served_entities\[0\]\.max_provisioned_throughput: 200/);
  assert.equal((await command('endpoint', 'wait', 'chat')).code, 0);

  const list = await command('endpoint', 'list');
  assert.match(list.stdout, /^NAME +READY +UPDATE/);
  assert.match(list.stdout, /^chat +READY +NOT_UPDATING +main\.test\.m\/1 +10 to 200/m);
  assert.match((await command('endpoint', 'events', 'chat')).stdout, /Version 2 is in effect/);
  // The first decision about a new version is a second away.
  let explained = '';
  for (let i = 0; i < 100 && !explained.includes('stays 1'); ++i) {
    explained = (await command('endpoint', 'explain', 'chat')).stdout;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.match(explained, /stays 1/);
  assert.match((await command('endpoint', 'logs', 'chat')).stdout, /replica/);
  const billed = await command('billing', '--format', 'csv');
  assert.match(billed.stdout, /^endpoint,endpoint_id/);
  assert.match(billed.stdout, /^chat,[0-9a-f]{32},main\.test\.m-1,main\.test\.m,tokens_per_s,10,/m);

  writeFileSync(file, 'endpoints: []\n');
  const pruned = await command('apply', '-f', file, '--prune', '--yes');
  assert.equal(pruned.stdout, 'delete chat\n');
  assert.equal((await server.call('GET', '/api/2.0/serving-endpoints/chat')).status, 404);
});

test('keys: made, used, revoked', async (t) => {
  const server = await Server.start(t);
  const command = (...words) => run([...words, '--data-dir', server.dataDirectory]);
  const made = await command('key', 'create', 'app');
  assert.equal(made.code, 0, made.stderr);
  const key = made.stdout.trim();
  assert.equal((await server.call('GET', '/v1/models', undefined, { key })).status, 200);
  assert.match((await command('key', 'list')).stdout, /^app +user/m);
  assert.equal((await command('key', 'revoke', 'app')).code, 0);
  assert.equal((await server.call('GET', '/v1/models', undefined, { key })).status, 401);
  const again = await command('key', 'revoke', 'app');
  assert.equal(again.code, 2);
  assert.match(again.stderr, /does not exist/);
});

test('completion knows every command and flag', async () => {
  const { code, stdout } = await run(['completion', 'bash']);
  assert.equal(code, 0);
  assert.match(stdout, /"endpoint create"\) words="[^"]*--max-provisioned-throughput/);
  assert.match(stdout, /complete -o default -F _penstock penstock/);
  assert.equal((await run(['completion', 'fish'])).code, 2);
});

test('bad apply files are named', async (t) => {
  const server = await Server.start(t);
  const file = join(server.dataDirectory, 'bad.yaml');
  for (const [text, says] of [['endpoints: 3', /a list/], ['{', /./],
    ['endpoints: [{config: {}}]', /needs a name/]]) {
    writeFileSync(file, text);
    const { code, stderr } = await run(['apply', '-f', file, '--data-dir', server.dataDirectory]);
    assert.equal(code, 2);
    assert.match(stderr, /bad\.yaml/);
    assert.match(stderr, says);
  }
});
