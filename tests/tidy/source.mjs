// Source files as the rules see them: the text, and the same text with parts blanked out.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const kSkippedFolders = new Set(['.git', 'build', 'node_modules', 'corpus']);

// Paths, relative to `root` and sorted, of every file below `folders` that people wrote.
export function listFiles(root, folders) {
  const found = [];
  const walk = (folder) => {
    let entries;
    try {
      entries = readdirSync(folder, { withFileTypes: true });
    } catch (error) {
      if (error.code === 'ENOENT') return;
      throw error;
    }
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!kSkippedFolders.has(entry.name)) walk(path);
      } else if (entry.isFile()) {
        found.push(relative(root, path));
      }
    }
  };
  for (const folder of folders) walk(join(root, folder));
  return found.sort();
}

export const isCpp = (path) => /\.(h|cc)$/.test(path);

// A C++ file. `code` is `text` with comments and the insides of literals turned into spaces, so
// that positions and lines stay the same.
export function readCpp(root, path) {
  const text = readFileSync(join(root, path), 'utf8');
  return { path, text, code: blankCommentsAndLiterals(text), lines: text.split('\n') };
}

// The 1-based line of a position.
export function lineAt(text, position) {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < position; i = text.indexOf('\n', i + 1)) ++line;
  return line;
}

// What begins at `start` and must be blanked: its end, and how much of either side stays.
function partAt(text, start) {
  const to = (end, head = 0, tail = 0) => ({ end, head, tail });
  const find = (what, from) => {
    const found = text.indexOf(what, from);
    return found === -1 ? text.length : found + what.length;
  };
  if (text.startsWith('//', start)) {
    const end = text.indexOf('\n', start);
    return to(end === -1 ? text.length : end);
  }
  if (text.startsWith('/*', start)) return to(find('*/', start + 2));
  const raw = /^R"([^\s()\\]{0,16})\(/.exec(text.slice(start, start + 20));
  if (raw && !/\w/.test(text[start - 1] ?? '')) {
    return to(find(`)${raw[1]}"`, start + raw[0].length), 2, 1);
  }
  const quote = text[start];
  // A ' between digits separates thousands.
  const isSeparator = quote === "'" && /[0-9a-fA-F]/.test(text[start - 1] ?? '');
  if ((quote === '"' || quote === "'") && !isSeparator) {
    let end = start + 1;
    while (end < text.length && text[end] !== quote && text[end] !== '\n') {
      end += text[end] === '\\' ? 2 : 1;
    }
    return to(Math.min(end + 1, text.length), 1, 1);
  }
  return undefined;
}

export function blankCommentsAndLiterals(text) {
  let code = '';
  let at = 0;
  while (at < text.length) {
    const part = partAt(text, at);
    if (!part) {
      code += text[at++];
      continue;
    }
    const inside = text.slice(at + part.head, part.end - part.tail);
    code += text.slice(at, at + part.head);
    code += inside.replace(/[^\n]/g, ' ');
    code += text.slice(part.end - part.tail, part.end);
    at = part.end;
  }
  return code;
}

// The #include lines: [{line, path, system}].
export function includesOf(file) {
  const found = [];
  file.code.split('\n').forEach((code, index) => {
    if (!/^\s*#\s*include\b/.test(code)) return;
    const match = /#\s*include\s*(["<])([^">]+)[">]/.exec(file.lines[index]);
    if (match) found.push({ line: index + 1, path: match[2], system: match[1] === '<' });
  });
  return found;
}
