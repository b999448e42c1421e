// What a measuring program printed: its table for people, and its `name value` lines as numbers.

import {spawnSync} from 'node:child_process';

import {tool} from './programs.mjs';

// {text, figures}. Throws when the program fails.
export function runTool(name, words) {
  const ran = spawnSync(tool(name), words, {encoding: 'utf8', maxBuffer: 1 << 26});
  if (ran.status !== 0) throw new Error(`${name} failed: ${ran.stderr}`);
  const lines = ran.stdout.trimEnd().split('\n');
  const figures = {};
  for (const line of lines) {
    const found = /^([a-z_]+) (-?[\d.]+)$/.exec(line);
    if (found) figures[found[1]] = Number(found[2]);
  }
  return {text: lines.filter((line) => !/^[a-z_]+ -?[\d.]+$/.test(line)).join('\n'), figures};
}
