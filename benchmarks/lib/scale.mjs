// benchmarks/scale: the control plane with many endpoints.

import {limitTime} from './children.mjs';
import {conclude, environment, printEnvironment, readFlags} from './report.mjs';
import {runTool} from './tool_output.mjs';

const flags = readFlags({});
limitTime(240);
const facts = environment();
printEnvironment(facts);
const {text, figures} = runTool('control_scale', flags.quick ? ['100', '10'] : ['1000', '10']);
console.log(text);
console.log('');
conclude({
  name: 'scale',
  goals: [
    {name: 'step ms', value: figures.worst_step_ms, digits: 1, most: 100},
    {name: 'memory MB', value: figures.memory_mb, digits: 0, most: 200},
  ],
  json: flags.json,
  raw: {environment: facts, figures},
});
