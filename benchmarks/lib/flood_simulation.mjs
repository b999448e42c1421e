// The scenario of benchmarks/flood as one of `penstock simulate`: the same requests and contracts, and
// a replica as fast as the fake engine.

import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

import {run, temporaryFolder} from './children.mjs';
import {kPenstock} from './programs.mjs';

// A trace in the columns that the simulator reads. Its first request, at the very start, is not of
// the schedule: times count from a trace's first one. (uncounted() leaves it out again.)
const kFirst = {at: 0, input: 1, output: 1};

function traceOf(requests) {
  const begin = Date.UTC(2023, 10, 16);
  const rows = [kFirst, ...requests].map(({at, input, output}) => {
    const time = new Date(begin + Math.floor(at * 1000)).toISOString().slice(0, 23).replace('T', ' ');
    return `${time},${input},${output}`;
  });
  return `TIMESTAMP,ContextTokens,GeneratedTokens\n${rows.join('\n')}\n`;
}

// Tokens/s of the reference workload, 2048 + 256, that buy a cost rate.
function rangeOf({guarantee_cost_per_s, cap_cost_per_s}, weight) {
  const tokens = (rate) => Math.round(rate * 2304 / (2048 + 256 * weight));
  return [tokens(guarantee_cost_per_s ?? 0), cap_cost_per_s ? tokens(cap_cost_per_s) : 1e9];
}

function scenarioOf({engine, tenants, ttft_limit_s, queue_wait_max_s}) {
  const token_us = 1e6 / engine.cost_per_s;
  const fleet = {
    step: {fixed_ms: engine.step_fixed_ms, prefill_us: token_us,
           decode_us: engine.output_weight * token_us},
    cost_per_s: engine.cost_per_s, output_weight: engine.output_weight,
    concurrency: engine.concurrency, replicas: [1, 1],
    prefill_budget: engine.prefill_tokens_per_step, queue_max: 100000, queue_wait_max_s,
  };
  return {
    ttft_target_s: ttft_limit_s, fleet,
    tenants: tenants.map((tenant) => ({
      name: tenant.name, range: rangeOf(tenant, engine.output_weight), max_tokens: 2048,
      traffic: {trace: `${tenant.name}.csv`},
    })),
  };
}

function uncounted({name, arrived, attainment, offered_cost, served_cost}, weight) {
  const first = kFirst.input + weight * kFirst.output;
  return {name, in_time: (attainment * arrived - 1) / (arrived - 1),
          delivered: (served_cost - first) / (offered_cost - first)};
}

// [{name, in_time, delivered}] of the tenants with a guarantee, as shares.
export async function simulateFlood(scenario, schedule) {
  const folder = temporaryFolder();
  for (const {name} of scenario.tenants) {
    writeFileSync(join(folder, `${name}.csv`), traceOf(schedule.filter(({tenant}) => tenant === name)));
  }
  const file = join(folder, 'flood.yaml');  // JSON is YAML.
  writeFileSync(file, JSON.stringify(scenarioOf(scenario)));
  const {runs} = JSON.parse(await run(kPenstock, ['simulate', file, '--json']));
  const promised = scenario.tenants.filter(({guarantee_cost_per_s}) => guarantee_cost_per_s);
  return promised.map(({name}) =>
    uncounted(runs[0].tenants.find((each) => each.name === name), scenario.engine.output_weight));
}
