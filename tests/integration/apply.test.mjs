// penstock apply, endpoint, key, billing and completion against a real server.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, until } from '../support/penstock.mjs';

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
  // What is in effect is looked at once a second.
  const billed = await until('something is billed', async () => {
    const told = await command('billing', '--format', 'csv');
    return told.stdout.includes('\nchat,') && told;
  });
  assert.match(billed.stdout, /^endpoint,endpoint_id/);
  assert.match(billed.stdout, /^chat,[0-9a-f]{32},main\.test\.m-1,main\.test\.m,tokens_per_s,10,/m);

  writeFileSync(file, 'endpoints: []\n');
  const pruned = await command('apply', '-f', file, '--prune', '--yes');
  assert.equal(pruned.stdout, 'delete chat\n');
  assert.equal((await server.call('GET', '/api/2.0/serving-endpoints/chat')).status, 404);
});

// What is applied is the same afterwards, whatever was changed: tags, limits, what was taken out.
test('apply changes what differs, and only that', async (t) => {
  const server = await Server.start(t);
  const command = (...words) => run([...words, '--data-dir', server.dataDirectory]);
  await command('model', 'register', 'main.test.m', '--file', await synthesise('toy'));
  const file = join(server.dataDirectory, 'endpoints.yaml');
  const apply = async (text, says) => {
    writeFileSync(file, `endpoints:\n  - name: chat\n${text}`);
    const { code, stdout, stderr } = await command('apply', '-f', file, '--yes');
    assert.equal(code, 0, stderr);
    for (const line of says) assert.match(stdout, line);
    const waited = await command('endpoint', 'wait', 'chat');
    assert.equal(waited.code, 0, waited.stderr);
    const again = await command('apply', '-f', file);
    assert.equal(again.stdout, 'same chat\n');
    return (await server.call('GET', '/api/2.0/serving-endpoints/chat')).json;
  };
  const entity = (more) => `    config: {served_entities: [{entity_name: main.test.m, entity_version: 1${more}}]}\n`;
  const tags = (...pairs) => `    tags: [${pairs.map(([key, value]) => `{key: ${key}, value: ${value}}`)}]\n`;
  const limits = (calls) => `    ai_gateway: {rate_limits: [{calls: ${calls}, key: endpoint, renewal_period: minute}]}\n`;
  await apply(entity(', strategy: latency') + tags(['a', 'x'], ['b', 'y']) + limits(5), [/^create/]);
  // Only tags: a changed one moves behind the others, one goes.
  const tagged = await apply(entity(', strategy: latency') + tags(['a', 'z'], ['c', 'w']) + limits(5),
    [/- tags\.a: x/, /\+ tags\.a: z/, /- tags\.b: y/, /\+ tags\.c: w/]);
  assert.equal(tagged.config.config_version, 1);
  assert.deepEqual(tagged.tags.map(({ key }) => key).sort(), ['a', 'c']);
  const limited = await apply(entity(', strategy: latency') + tags(['a', 'z'], ['c', 'w']) + limits(7), [/\+ ai_gateway.*calls: 7/]);
  assert.equal(limited.ai_gateway.rate_limits[0].calls, 7);
  assert.equal(limited.config.config_version, 1);
  // What is no part of the configuration is changed by itself, too.
  const mails = `    email_notifications: {on_update_failure: [ops@example.org]}\n    telemetry_config: {enabled: true}\n`;
  const told = await apply(entity(', strategy: latency') + mails,
    [/\+ email_notifications.*on_update_failure\[0\]: ops@example\.org/, /\+ telemetry_config\.enabled: true/]);
  assert.deepEqual(told.email_notifications.on_update_failure, ['ops@example.org']);
  assert.equal(told.telemetry_config.enabled, true);
  assert.equal(told.config.config_version, 1);
  // A field is taken out of the file: its default is back.
  const usual = await apply(entity('') + tags(['a', 'z'], ['c', 'w']), [/- config\.served_entities\[0\]\.strategy: "latency"/]);
  assert.equal(usual.config.served_entities[0].strategy, 'balanced');
  assert.equal(usual.config.config_version, 2);

  // Units: the range follows from them.
  const units = await apply(entity(', provisioned_model_units: 50'), [/\+ .*provisioned_model_units: 50/]);
  assert.equal(units.config.served_entities[0].max_provisioned_throughput, 100);

  // A key is never printed, and sent each time: nobody can tell whether it is another.
  const secret = 'sk-test-of-apply';
  writeFileSync(file, `endpoints:
  - name: far
    config:
      served_entities:
        - external_model: {name: m, provider: custom, task: llm/v1/chat, custom_provider_config: {
            custom_provider_url: "http://127.0.0.1:1/v1", bearer_token_auth: {token_plaintext: ${secret}}}}
`);
  const made = await command('apply', '-f', file, '--yes');
  assert.equal(made.code, 0, made.stderr);
  const later = await command('apply', '-f', file);
  assert.match(later.stdout, /^update far\n.*token_plaintext: \(a key/);
  for (const { stdout, stderr } of [made, later]) assert.ok(!(stdout + stderr).includes(secret));
});

test('tags, permissions and events of several served entities by command', async (t) => {
  const server = await Server.start(t);
  const command = async (...words) => {
    const done = await run([...words, '--data-dir', server.dataDirectory]);
    return { ...done, text: done.stdout + done.stderr };
  };
  await command('model', 'register', 'main.test.m', '--file', await synthesise('toy'));
  const entity = (name) => ({ name, entity_name: 'main.test.m', entity_version: 1,
    strategy: name === 'old' ? 'latency' : 'balanced' });
  const made = await server.call('POST', '/api/2.0/serving-endpoints', { name: 'chat', config: {
    served_entities: [entity('old'), entity('new')], traffic_config: { routes: [
      { served_entity_name: 'old', traffic_percentage: 90 }, { served_entity_name: 'new', traffic_percentage: 10 }] } } });
  assert.equal(made.status, 200, made.text);
  assert.equal((await command('endpoint', 'wait', 'chat')).code, 0);
  assert.match((await command('endpoint', 'list')).stdout, /main\.test\.m\/1 and 1 more/);

  assert.equal((await command('endpoint', 'tags', 'chat')).stdout, 'No tags.\n');
  const set = await command('endpoint', 'tags', 'chat', '--set', 'team=search', '--set', 'why=a=b');
  assert.match(set.stdout, /^TAG +VALUE\nteam +search\nwhy +a=b\n$/);
  const fewer = await command('endpoint', 'tags', 'chat', '--delete', 'team', '--json');
  assert.deepEqual(JSON.parse(fewer.stdout), [{ key: 'why', value: 'a=b' }]);
  const bad = await command('endpoint', 'tags', 'chat', '--set', 'team');
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /--set must be KEY=VALUE, got 'team'/);

  assert.match((await command('endpoint', 'permissions', 'chat')).stdout, /every key may query/);
  const given = await command('endpoint', 'permissions', 'chat', '--user', 'ann=CAN_VIEW', '--group', 'ops=CAN_MANAGE');
  assert.match(given.stdout, /^key +ann +CAN_VIEW$/m);
  assert.match(given.stdout, /^group +ops +CAN_MANAGE$/m);
  const wrong = await command('endpoint', 'permissions', 'chat', '--user', 'ann=CAN_DO');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /CAN_VIEW, CAN_QUERY or CAN_MANAGE, got "CAN_DO"/);
  const only = await command('endpoint', 'permissions', 'chat', '--replace', '--user', 'bob=CAN_QUERY');
  assert.ok(!only.stdout.includes('ann') && /bob/.test(only.stdout), only.text);

  const events = async (...words) => JSON.parse((await command('endpoint', 'events', 'chat', '--json', ...words)).stdout).events;
  for (const name of ['old', 'new']) {
    const its = await events('--served-entity', name);
    assert.ok(its.length > 0 && its.every((event) => event.served_entity_name === name), JSON.stringify(await events()));
  }
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
  assert.equal(again.code, 1, 'what a server answers is no matter of usage');
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
    ['endpoints: [{config: {}}]', /needs a name/], ['endpoint: []', /expected 'endpoints:'/],
    ['{endpoints: [], more: 1}', /'more' stands beside/],
    ['endpoints: [{name: a}, {name: a}]', /'a' stands there twice/],
    ['endpoints: [{name: a, config: {served_entities: [{min_provisoned_throughput: 1}]}}]',
      /endpoint 'a': config\.served_entities\[0\]\.min_provisoned_throughput is not a field/]]) {
    writeFileSync(file, text);
    const { code, stderr } = await run(['apply', '-f', file, '--data-dir', server.dataDirectory]);
    assert.equal(code, 2);
    assert.match(stderr, /bad\.yaml/);
    assert.match(stderr, says);
  }
  const missing = await run(['apply', '-f', '/none', '--data-dir', server.dataDirectory]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /--file \/none: cannot be read/);
  writeFileSync(file, 'endpoints: []');
  const empty = await run(['apply', '-f', file, '--data-dir', server.dataDirectory]);
  assert.equal(empty.code, 0);
  assert.match(empty.stderr, /names no endpoint/);
});

test('one end of a range is both; an update keeps what it does not name', async (t) => {
  const server = await Server.start(t);
  const command = (...words) => run([...words, '--data-dir', server.dataDirectory]);
  await command('model', 'register', 'main.test.m', '--file', await synthesise('toy'));
  const entity = async () => {
    const { json } = await server.call('GET', '/api/2.0/serving-endpoints/chat');
    return (json.pending_config ?? json.config).served_entities[0];
  };
  const created = await command('endpoint', 'create', 'chat', '--model', 'main.test.m', '--strategy', 'latency',
    '--min-provisioned-throughput', '280', '--wait');
  assert.equal(created.code, 0, created.stderr);
  assert.deepEqual([(await entity()).min_provisioned_throughput, (await entity()).max_provisioned_throughput], [280, 280]);
  const updated = await command('endpoint', 'update', 'chat', '--isolation', 'shared', '--wait');
  assert.equal(updated.code, 0, updated.stderr);
  const { strategy, isolation, max_provisioned_throughput: maximum } = await entity();
  assert.deepEqual([strategy, isolation, maximum], ['latency', 'shared', 280]);
  const without = await command('endpoint', 'update', 'chat', '--min-provisioned-throughput', '0',
    '--max-provisioned-throughput', '0', '--wait');
  assert.equal(without.code, 0, without.stderr);
  assert.equal('max_provisioned_throughput' in (await entity()), false);
  const none = await command('endpoint', 'update', 'none', '--strategy', 'latency');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /404/);
  const billed = await command('billing', '--start', '15m');
  assert.equal(billed.code, 0, billed.stderr);
  assert.doesNotMatch(billed.stdout, /total/);
  assert.match(billed.stdout, /No prices|Nothing was provisioned/);  // By the minute that has passed.
});

test('a calibration reaches the endpoints that run', async (t) => {
  const server = await Server.start(t, { flags: ['--engine-parallel', '2'] });
  const command = (words, seconds) => run([...words, '--data-dir', server.dataDirectory], { seconds });
  await server.serveModel('toy', await synthesise('toy'));
  const promised = () => server.metric('penstock_provisioned_cost_per_second', { endpoint: 'toy' });
  assert.equal(await promised(), 0, 'nothing is promised of what was not measured');
  const measured = await command(['model', 'calibrate', 'main.test.toy', '--length', 'quick'], 240);
  assert.equal(measured.code, 0, measured.stderr);
  await until('the endpoint is promised something', async () => (await promised()) > 0);
});
