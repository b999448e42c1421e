// Replicas as real jobs of a real Slurm: two nodes on loopback.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Server, synthesise, temporaryFolder, until } from '../support/penstock.mjs';
import { missing, startCluster } from './cluster.mjs';

const why = missing();
if (why) console.log(`NOT TESTED: replicas on Slurm. ${why}`);

test('replicas on Slurm: started, served, replaced, taken up again, ended', { skip: why }, async (t) => {
  const { env, ask } = await startCluster(t);
  const jobs = () => ask('squeue', '-h', '-t', 'RUNNING', '-o', '%i %j').trim().split('\n').filter(Boolean);
  const dataDirectory = temporaryFolder(t);
  const flags = ['--fleet', 'slurm', '--slurm-host', '127.0.0.1'];
  const first = await Server.start(t, { dataDirectory, flags, env });
  await first.serveModel('toy', await synthesise('toy'), { seconds: 60 });
  assert.equal(jobs().length, 1);
  const ask_it = (server) => server.call('POST', '/v1/completions',
    { model: 'toy', prompt: 'a', max_tokens: 2 });
  assert.equal((await ask_it(first)).status, 200);

  // The job dies: another takes its place.
  const [dead] = jobs()[0].split(' ');
  ask('scancel', '--signal=KILL', '--full', dead);
  await until('another job runs', () => jobs().length === 1 && !jobs()[0].startsWith(`${dead} `));
  await first.endpointReady('toy');
  await until('it answers again', async () => (await ask_it(first)).status === 200);

  // The server dies: the next one takes up what runs.
  const [living] = jobs();
  await first.kill();
  const second = await Server.start(t, { dataDirectory, flags, env });
  await second.endpointReady('toy');
  assert.equal((await ask_it(second)).status, 200);
  assert.deepEqual(jobs(), [living]);

  // The other node gets the next one; and again after its job dies, since the first is drained.
  const nodes = () => ask('squeue', '-h', '-t', 'RUNNING', '-o', '%N').trim().split('\n').sort().join();
  assert.equal((await second.call('POST', '/api/2.0/serving-endpoints', { name: 'other', config: {
    served_entities: [{ entity_name: 'main.test.toy', entity_version: '1' }] } })).status, 200);
  await second.endpointReady('other');
  assert.equal(nodes(), 'n1,n2');
  const name = ask('squeue', '-h', '-j', living.split(' ')[0], '-o', '%N').trim();
  ask('scontrol', 'update', `nodename=${name}`, 'state=drain', 'reason=test');
  ask('scancel', '--signal=KILL', '--full', living.split(' ')[0]);
  const left = name === 'n1' ? 'n2' : 'n1';
  await until('both are on the other node', () => nodes() === `${left},${left}`);
  await until('it answers there', async () => (await ask_it(second)).status === 200);

  // An end in order: what runs is finished first.
  const long = second.call('POST', '/v1/completions', { model: 'toy', prompt: 'a', max_tokens: 60 });
  await until('it runs', async () => await second.metric('penstock_requests_running', { endpoint: 'toy' }) === 1
    || await Promise.race([long, undefined]));
  await second.call('DELETE', '/api/2.0/serving-endpoints/toy');
  assert.equal((await long).status, 200);
  await second.call('DELETE', '/api/2.0/serving-endpoints/other');
  await until('no job is left', () => jobs().length === 0);
});
