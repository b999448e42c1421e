// Golden: every --help, and the names and types of all metrics.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, kRoot, run, synthesise } from '../support/penstock.mjs';
import { assertGolden } from './golden.mjs';

const kCommands = ['', 'serve', 'engine', 'relay', 'bench', 'bench agent', 'bench report', 'bench compare', 'bench prove',
  'model', 'model synth', 'model register', 'model list',
  'model show', 'model versions', 'model alias', 'model delete', 'model convert', 'model pull', 'model calibrate',
  'model jobs',
  'endpoint', 'endpoint create', 'endpoint update', 'endpoint list', 'endpoint get', 'endpoint delete',
  'endpoint wait', 'endpoint logs', 'endpoint events', 'endpoint explain', 'endpoint tags', 'endpoint permissions', 'apply', 'key', 'key create',
  'key list', 'key revoke', 'group', 'group create', 'group list', 'group add', 'group remove', 'group delete', 'billing', 'completion', 'simulate', 'size', 'usage', 'usage summary', 'usage records',
  'usage minutes', 'usage check', 'top', 'version'];

for (const command of kCommands) {
  test(`penstock ${command} --help`, async () => {
    const { code, stdout, stderr } = await run([...command.split(' ').filter(Boolean), '--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assertGolden(`help${command && '-'}${command.replace(' ', '-')}.txt`, stdout);
  });
}

test('no command is missing above', async () => {
  const listed = async (words) => {
    const { stdout } = await run([...words, '--help']);
    const [, list] = stdout.split('Subcommands:\n');
    // Examples may follow behind an empty line.
    return [...(list ?? '').split('\n\n')[0].matchAll(/^ {2}(\w+)/gm)].map(([, name]) => [...words, name]);
  };
  const found = [''];
  for (const words of await listed([])) {
    found.push(words.join(' '), ...(await listed(words)).map((deeper) => deeper.join(' ')));
  }
  assert.deepEqual(found.sort(), [...kCommands].sort());
});

test('metric names and types; docs/metrics.md tells each of them', async (t) => {
  const server = await Server.start(t);
  await server.serveModel('toy', await synthesise('toy'));
  await server.call('POST', '/v1/completions', { model: 'toy', prompt: 'a', max_tokens: 2 });
  const { text } = await server.call('GET', '/metrics');
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]);
  assertGolden('metrics.txt', types.map((each) => `${each.join(' ')}\n`).sort().join(''));
  const page = readFileSync(join(kRoot, 'docs/metrics.md'), 'utf8');
  for (const [name, type] of types) {
    assert.match(page, new RegExp(`^\\| \`${name}\` \\| ${type} \\|`, 'm'));
  }
});
