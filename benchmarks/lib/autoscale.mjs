// benchmarks/autoscale: a day of traffic against a simulated fleet.

import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

import {limitTime} from './children.mjs';
import {conclude, environment, figure, printEnvironment, printTable, readFlags} from './report.mjs';
import {runTool} from './tool_output.mjs';

const kSeries = join(dirname(fileURLToPath(import.meta.url)), '../data/servegen-day.txt');

const flags = readFlags({});
limitTime(50);
const facts = environment();
printEnvironment(facts);
const {figures} = runTool('autoscale_day', [kSeries]);
const row = (name, key) => [
  name, figure(figures[`${key}_late_percent`], 3), figure(figures[`${key}_late_am_percent`], 3),
  figure(figures[`${key}_late_pm_percent`], 3), figure(figures[`${key}_replicas_ratio`], 2),
  String(figures[`${key}_changes`]), String(figures[`${key}_flaps`]),
];
printTable([
  ['rule', 'late, % of cost', 'first 12 h', 'last 12 h', 'replicas / ideal', 'changes', 'down within 300 s of up'],
  row('penstock', 'penstock_ramps'),
  row('mean of 60 s, filled to 60 %', 'one_mean_ramps'),
  row('Kubernetes, 0.7', 'kubernetes_ramps'),
  row('penstock, rates that jump', 'penstock'),
  row('mean of 60 s, rates that jump', 'one_mean'),
  row('Kubernetes, rates that jump', 'kubernetes'),
]);
console.log('');
// Late is what finds more than 2 s of work before it. The source tells the mean rate of each 10 minutes.
// The goals are those of rates in straight lines from window to window: their own source gives 0.13 % at
// 20.4 replicas for the mean of 60 s, filled to 60 %, which rates that jump between windows put out of
// any rule's reach (docs/performance.md).
conclude({
  name: 'autoscale',
  goals: [
    {name: 'late %', value: figures.penstock_ramps_late_percent, digits: 3, most: 0.2},
    {name: 'replicas / ideal', value: figures.penstock_ramps_replicas_ratio, digits: 2, most: 2.1},
    {name: 'flaps', value: figures.penstock_ramps_flaps, digits: 0, most: 0},
  ],
  json: flags.json,
  raw: {environment: facts, figures},
});
