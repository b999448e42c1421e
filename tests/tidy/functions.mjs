// Finds the functions of a C++ file and how many lines each spans. It matches braces rather than
// parsing the language, which is enough for code that clang-format has laid out.

// [{line, length, name}] of the outermost functions; what is inside one (lambdas, local structs)
// counts to it. `code` comes from blankCommentsAndLiterals().
export function functionsOf(code) {
  const text = blankPreprocessor(code);
  const found = [];
  const scopes = [];  // What each open brace outside functions is: 'scope' or 'value'.
  let head_start = 0;
  let parentheses = 0;
  for (let at = 0; at < text.length; ++at) {
    const letter = text[at];
    if (letter === '(') ++parentheses;
    if (letter === ')') --parentheses;
    if (letter === ';' && parentheses === 0 && scopes.at(-1) !== 'value') head_start = at + 1;
    if (letter === '}') {
      if (scopes.pop() !== 'value') head_start = at + 1;
    }
    if (letter !== '{') continue;

    const head = headBefore(text, head_start, at);
    const kind = parentheses > 0 || scopes.at(-1) === 'value' ? 'value' : kindOf(head.text);
    if (kind !== 'function') {
      scopes.push(kind);
      if (kind === 'scope') head_start = at + 1;
      continue;
    }
    const end = matchingBrace(text, at);
    const line = text.slice(0, head.start).split('\n').length;
    const length = text.slice(head.start, end).split('\n').length;
    found.push({ line, length, name: nameOf(head.text) });
    at = end;
    head_start = end + 1;
  }
  return found;
}

function blankPreprocessor(code) {
  return code.replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (match) => match.replace(/[^\n]/g, ' '));
}

// The declaration in front of a brace, without white space and access labels.
function headBefore(text, start, end) {
  const skipped = /^(\s|(public|private|protected)\s*:(?!:))*/.exec(text.slice(start, end))[0].length;
  return { start: start + skipped, text: text.slice(start + skipped, end).trimEnd() };
}

function kindOf(head) {
  if (/^(inline\s+)?namespace\b/.test(head) || /^extern\s*""?$/.test(head)) return 'scope';
  if (!head.includes(')')) return /\b(class|struct|union|enum)\b/.test(head) ? 'scope' : 'value';
  if (/(=|\breturn|,)$/.test(head)) return 'value';
  const is_type = /^(template\s*<[^;{]*>\s*)?(class|struct|union|enum)\b/.test(head);
  if (is_type && !/\)\s*(const|noexcept|override|final|->.*)*$/s.test(head)) return 'scope';
  // `Name(...) : member_{` opens a member's value; the body follows `)` or `}`.
  if (/\)\s*(noexcept\s*)?:(?!:)/.test(head) && /[\w>]$/.test(head)) return 'value';
  return 'function';
}

function nameOf(head) {
  const match = /([\w:~]+)\s*\(([^()]*)/.exec(head);
  if (!match) return head.slice(0, 40);
  return /^TEST(_F|_P)?$/.test(match[1]) ? `${match[1]}(${match[2].trim()})` : match[1];
}

function matchingBrace(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; ++at) {
    if (text[at] === '{') ++depth;
    if (text[at] === '}' && --depth === 0) return at;
  }
  return text.length;
}
