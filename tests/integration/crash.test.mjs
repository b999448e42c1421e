// kill -9 at random moments of random histories: what was acknowledged is there, nothing else is, no
// engine outlives its server, and states converge. PENSTOCK_CRASH_HISTORIES=200 plays more of them,
// PENSTOCK_CRASH_SEED=N one again.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { Server, synthesise, temporaryFolder, until } from '../support/penstock.mjs';

const kHistories = Number(process.env.PENSTOCK_CRASH_HISTORIES ?? 3);
const kRounds = 5;
const kNames = ['a', 'b', 'c'];
const kRoot = '/api/2.0/serving-endpoints';

// Mulberry32: the same sequence for the same seed.
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Processes whose command line names the data directory.
function processesOf(directory) {
  return readdirSync('/proc').filter((id) => /^\d+$/.test(id)).filter((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false;  // It has just ended.
    }
  });
}

const configOf = (maximum) => ({
  served_entities: [{
    entity_name: 'main.test.m', entity_version: '1',
    min_provisioned_throughput: 0, max_provisioned_throughput: maximum,
  }],
});

// One change; true when it was acknowledged. `known`: name -> maximum, or undefined where there is
// no such endpoint; `open`: what a change that was not answered may have left.
async function change(server, random, known, open) {
  const name = kNames[Math.floor(random() * kNames.length)];
  const maximum = 1 + Math.floor(random() * 100);
  let call;
  let after;
  if (known.get(name) === undefined) {
    call = ['POST', kRoot, { name, config: configOf(maximum) }];
    after = maximum;
  } else if (random() < 0.4) {
    call = ['DELETE', `${kRoot}/${name}`];
  } else {
    call = ['PUT', `${kRoot}/${name}/config`, configOf(maximum)];
    after = maximum;
  }
  open.set(name, after);
  const { status } = await server.call(...call);
  open.delete(name);
  if (status === 200) {
    if (after === undefined) known.delete(name);
    else known.set(name, after);
  } else {
    assert.equal(status, 409, 'only an update that is under way refuses another');
  }
}

async function play(t, seed) {
  const random = randomOf(seed);
  const dataDirectory = temporaryFolder(t);
  const model = await synthesise('toy');
  const known = new Map();
  for (let round = 0; round < kRounds; ++round) {
    const server = await Server.start(t, { dataDirectory });
    if (round === 0) {
      await server.call('POST', '/api/2.1/unity-catalog/models', { name: 'main.test.m', source: model });
    }
    const open = new Map();
    const end = pause(Math.floor(random() * 400)).then(() => server.kill());
    try {
      for (;;) await change(server, random, known, open);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;  // Else: it was killed.
    }
    await end;
    await until('no engine outlives its server', () => processesOf(dataDirectory).length === 0);
    const next = await Server.start(t, { dataDirectory });
    const { json } = await next.call('GET', kRoot);
    const found = new Map();
    for (const { name } of json.endpoints) {
      const { json: one } = await next.call('GET', `${kRoot}/${name}`);
      const newest = one.pending_config ?? one.config;
      found.set(name, newest.served_entities[0].max_provisioned_throughput);
    }
    for (const name of kNames) {
      const either = open.has(name) ? [known.get(name), open.get(name)] : [known.get(name)];
      assert.ok(either.includes(found.get(name)),
        `${name}: ${found.get(name)}, acknowledged ${either}`);
      if (found.has(name)) known.set(name, found.get(name));
      else known.delete(name);
    }
    if (round === kRounds - 1) {
      for (const name of found.keys()) {
        await until(`${name} converges`, async () => {
          const { json: one } = await next.call('GET', `${kRoot}/${name}`);
          return one.state.ready === 'READY' && one.state.config_update === 'NOT_UPDATING';
        });
      }
    }
    await next.kill();
  }
}

const only = process.env.PENSTOCK_CRASH_SEED;
const seeds = only ? [Number(only)] : Array.from({ length: kHistories }, (_, i) => i + 1);
for (const seed of seeds) {
  test(`kill -9 at random moments, seed ${seed}`, (t) => play(t, seed));
}
