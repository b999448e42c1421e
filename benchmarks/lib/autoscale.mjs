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
  row('penstock', 'penstock'),
  row('Kubernetes, 0.7', 'kubernetes'),
  row('penstock, rates in straight lines', 'penstock_ramps'),
  row('Kubernetes, rates in straight lines', 'kubernetes_ramps'),
]);
console.log('');
// Late is what finds more than 2 s of work before it. The goals are held against the series whose rates
// jump every 10 minutes, as its source writes them.
conclude({
  name: 'autoscale',
  goals: [
    {name: 'late %', value: figures.penstock_late_percent, digits: 3, most: 0.2},
    {name: 'replicas / ideal', value: figures.penstock_replicas_ratio, digits: 2, most: 2.1},
    {name: 'flaps', value: figures.penstock_flaps, digits: 0, most: 0},
  ],
  json: flags.json,
  raw: {environment: facts, figures},
});
