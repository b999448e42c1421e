// The rules that one file is held to, each a function from a file to complaints
// [{line, rule, message}]. A line passes a rule where it, or the comment above it, says
// "tidy: allow(RULE): REASON".

import { functionsOf } from './functions.mjs';
import { checkLayers } from './layers.mjs';

const kFunctionLinesMax = 70;
const kFileLinesMax = 500;
const kFileLinesAdvised = 300;

// Patterns that no code may hold; comments and literals may.
const kBanned = [
  ['detached', /\bdetached\b|\.\s*detach\s*\(/, 'a coroutine or thread needs an owner'],
  ['use-future', /\buse_future\b/, 'blocks a loop; await instead'],
  ['sleep', /\b(sleep_for|sleep_until|usleep|nanosleep)\b/, 'wait for the event, not for time'],
  ['regex', /\bstd::w?regex\b|#\s*include\s*<regex>/, 'not linear on hostile input; use RE2'],
  ['using-namespace', /\busing\s+namespace\b/, 'name what you use'],
  // In the constructor of a smart pointer it has an owner: the way to a private constructor.
  [
    'naked-new',
    /(?<!\boperator\s*|\b(unique|shared)_ptr(<[^;]*>)?\s*\w*\s*\(\s*)\bnew\b/,
    'std::make_unique, or a container',
  ],
  ['naked-delete', /(?<!=\s*|\boperator\s*)\bdelete\b/, 'give it an owner'],
  [
    'capturing-coroutine',
    /\[[^\][]+\]\s*\([^()]*\)\s*(mutable\s*)?->\s*((penstock::)?io::)?Task</,
    'captures die before the coroutine does; write a named function that takes values',
  ],
];

function banned(file) {
  const complaints = [];
  for (const [rule, pattern, why] of kBanned) {
    for (const match of file.code.matchAll(new RegExp(pattern, 'g'))) {
      const line = file.code.slice(0, match.index).split('\n').length;
      complaints.push({ line, rule, message: `'${match[0].trim()}': ${why}` });
    }
  }
  return complaints;
}

function functionLength(file) {
  return functionsOf(file.code)
      .filter((found) => found.length > kFunctionLinesMax)
      .map(({ line, length, name }) => ({
        line,
        rule: 'function-length',
        message: `${name} has ${length} lines, the limit is ${kFunctionLinesMax}`,
      }));
}

function fileLength(file) {
  const length = file.text.split('\n').length - 1;
  if (length > kFileLinesMax) {
    const message = `${length} lines, the limit is ${kFileLinesMax}`;
    return [{ line: length, rule: 'file-length', message }];
  }
  if (length > kFileLinesAdvised) {
    const message = `${length} lines; aim under ${kFileLinesAdvised}`;
    return [{ line: length, rule: 'file-length', message, advice: true }];
  }
  return [];
}

function pragmaOnce(file) {
  if (!file.path.endsWith('.h') || /^#pragma once$/m.test(file.code)) return [];
  return [{ line: 1, rule: 'pragma-once', message: 'no #pragma once' }];
}

// An open end must say who or what closes it: the word, then (label).
const kOpenEnds = 'TODO|FIXME|XXX';
const kUnlabelled = new RegExp(`(?://|/[*]|#|<!--).*\\b(${kOpenEnds})\\b(?!\\([^)\\s]+\\))`);

function todo(file) {
  const complaints = [];
  file.text.split('\n').forEach((line, index) => {
    const match = kUnlabelled.exec(line);
    if (match) {
      complaints.push({ line: index + 1, rule: 'todo', message: `${match[1]} without a (label)` });
    }
  });
  return complaints;
}

function hygiene(file) {
  const complaints = [];
  file.text.split('\n').forEach((line, index) => {
    if (/[ \t\r]$/.test(line)) {
      complaints.push({ line: index + 1, rule: 'white-space', message: 'ends in white space' });
    }
    if (/\t/.test(line)) complaints.push({ line: index + 1, rule: 'white-space', message: 'tab' });
  });
  if (file.text && !file.text.endsWith('\n')) {
    complaints.push({ line: file.lines.length, rule: 'white-space', message: 'no final newline' });
  }
  return complaints;
}

// Complaints of `rules` about `file` that no "tidy: allow" excuses.
function judge(file, rules) {
  return rules.flatMap((rule) => rule(file)).filter((complaint) => {
    const excuse = new RegExp(`tidy: allow\\(${complaint.rule}\\): \\S`);
    const here = file.lines.slice(Math.max(0, complaint.line - 2), complaint.line);
    return !here.some((line) => excuse.test(line));
  });
}

export const checkCpp = (file) =>
  judge(file, [banned, functionLength, fileLength, pragmaOnce, todo, hygiene, checkLayers]);
export const checkText = (file) => judge(file, [fileLength, todo, hygiene]);
