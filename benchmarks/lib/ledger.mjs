// benchmarks/ledger: how many usage records a second the ledger takes, and that none is lost or
// made up when processes are killed.

import {mkdirSync} from 'node:fs';
import {join} from 'node:path';

import {limitTime, run, temporaryFolder} from './children.mjs';
import {runKills} from './ledger_kills.mjs';
import {kPenstock, tool} from './programs.mjs';
import {conclude, environment, figure, median, printEnvironment, printTable, readFlags, spread} from './report.mjs';

// One timed run of `what` (ledger, sqlite): {records_per_s, cpu_us_per_record, ...}.
async function measureWriter(what, seconds, more = []) {
  const folder = temporaryFolder();
  const text = await run(tool('ledger_writer'), [what, folder, String(seconds), ...more]);
  return JSON.parse(text);
}

async function main() {
  const flags = readFlags({kills: {type: 'string'}, seed: {type: 'string'}});
  const kills = Number(flags.kills ?? (flags.quick ? 40 : 300));
  const seed = Number(flags.seed ?? 1);
  limitTime(120 + kills * 3);
  const facts = environment();
  printEnvironment(facts);

  const runs = {ledger: [], sqlite: [], paced: []};
  for (let i = 0; i < (flags.quick ? 3 : 5); ++i) {
    for (const what of i % 2 === 0 ? ['ledger', 'sqlite'] : ['sqlite', 'ledger']) {
      runs[what].push(await measureWriter(what, 1));
    }
  }
  // At the rate that is promised: how long a record waits for the disk.
  for (let i = 0; i < 3; ++i) runs.paced.push(await measureWriter('ledger', 1.5, ['20000']));
  const rate = (what) => runs[what].map((each) => each.records_per_s);
  const cost = (what) => runs[what].map((each) => each.cpu_us_per_record);
  const unsynced = runs.paced.map((each) => each.unsynced_ms_max);

  const folder = join(temporaryFolder(), 'data');
  mkdirSync(folder);
  const trial = await runKills({program: kPenstock, folder, kills, seed});

  printTable([
    ['2 threads, flat out', 'records/s', 'spread', 'CPU µs/record'],
    ['penstock ledger', figure(median(rate('ledger')), 0), spread(rate('ledger'), 0), figure(median(cost('ledger')))],
    ['SQLite, a commit per 50 ms', figure(median(rate('sqlite')), 0), spread(rate('sqlite'), 0), figure(median(cost('sqlite')))],
  ]);
  console.log(`\nat 20,000 records/s: longest wait for the disk ${figure(median(unsynced), 0)} ms (${
      spread(unsynced, 0)})\n`);
  const {sums} = trial;
  printTable([
    [`${trial.killed.gateway} gateways, ${trial.killed.source} model servers killed (seed ${seed})`, ''],
    ['requests sent', String(sums.requests)],
    ['delivered whole', String(sums.delivered)],
    ['tokens delivered, by the clients', String(sums.delivered_tokens)],
    ['tokens billed for them', String(sums.billed_tokens)],
    ['left by the client', String(sums.left)],
    ['cut by a kill', String(sums.cut)],
    ['of these billed, for what was produced', String(sums.cut_billed)],
    ['disagreements', String(trial.wrong.length)],
  ]);
  for (const each of trial.wrong.slice(0, 5)) console.log(`  ${each}`);
  console.log(trial.check.trim());
  console.log('');
  conclude({
    name: 'ledger',
    goals: [
      {name: 'records/s', value: median(rate('ledger')), digits: 0, least: 20000},
      {name: 'ms unsynced', value: median(unsynced), digits: 0, most: 100},
      {name: 'disagreements', value: trial.wrong.length + (trial.agree ? 0 : 1), digits: 0, most: 0},
    ],
    json: flags.json,
    raw: {environment: facts, runs, trial: {...trial, wrong: trial.wrong.slice(0, 100)}},
  });
}

await main();
