// A disk that is full: requests are served all the same, and the loss is counted and shown.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Server, run, synthesise, until } from '../support/penstock.mjs';

const kDiskBytes = 12 << 20;

// A small file system of its own; nothing where this user may not mount one.
function smallDisk(t) {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-test-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kDiskBytes}`, 'tmpfs', folder]);
  t.after(() => {
    if (status === 0) spawnSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return status === 0 ? folder : undefined;
}

// Writes until nothing more goes.
function fill(file) {
  for (const size of [1 << 20, 1 << 16, 1 << 12]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
    }
  }
}

test('on a full disk the service goes on; what is lost is counted, shown, and ends with the need', async (t) => {
  const disk = smallDisk(t);
  if (!disk) return t.skip('mounting a file system needs root');
  const server = await Server.start(t, { dataDirectory: join(disk, 'data'), flags: ['--io-threads', '1'] });
  await server.serveModel('toy', await synthesise('toy'));
  const ask = () => server.call('POST', '/v1/completions', { model: 'toy', prompt: 'a', max_tokens: 2 });
  assert.equal((await ask()).status, 200);
  const ballast = join(disk, 'ballast');
  fill(ballast);
  // Requests that fail leave records, too, and are quick: until no memory waits for the disk any more.
  const wrong = () => server.call('POST', '/v1/completions', { model: 'nobody', prompt: 'a' });
  await until('records are lost', async () => {
    await Promise.all(Array.from({ length: 200 }, wrong));
    return (await server.metric('penstock_ledger_lost_records_total')) > 0;
  }, { seconds: 240 });
  assert.ok((await server.metric('penstock_ledger_write_failures_total')) > 0);
  assert.ok((await server.metric('penstock_ledger_pending_bytes')) > 0);
  const { status, json } = await ask();
  assert.equal(status, 200, 'the service goes on');
  assert.equal(json.usage.completion_tokens, 2);
  const shown = await run(['top', '--data-dir', server.dataDirectory, '--count', '1']);
  assert.equal(shown.code, 0, shown.stderr);
  await until('the log tells of it', () => /usage records were lost/.test(server.log));

  rmSync(ballast);
  // Each thread writes what waits together with its next record; that of the gauges comes once a minute.
  await until('what waited is written', async () => {
    assert.equal((await ask()).status, 200);
    return (await server.metric('penstock_ledger_pending_bytes')) === 0;
  }, { seconds: 90 });
  const lost = await server.metric('penstock_ledger_lost_records_total');
  assert.equal((await ask()).status, 200);
  assert.equal(await server.metric('penstock_ledger_lost_records_total'), lost);
  // What waited belongs to minutes that are over: they agree once it is counted.
  await until('ledger and series agree', async () =>
    (await run(['usage', 'check', '--data-dir', server.dataDirectory])).code === 0, { seconds: 60 });
});
