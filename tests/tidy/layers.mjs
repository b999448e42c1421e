// Which folder of src/ may include which: the house's order, so that nothing looks upward.

import { includesOf } from './source.mjs';

// What each folder's library links directly. It may include these, and what these may include.
const kLinks = {
  base: [],
  page: ['base'],
  trace: ['base'],
  io: ['base'],
  http: ['io'],
  api: ['base'],
  policy: ['base'],
  meter: ['base', 'api'],
  engine: ['http', 'api', 'meter'],
  fleet: ['http'],
  store: ['base'],
  bench: ['http', 'api', 'page', 'trace'],
  convert: ['base'],
  hub: ['http'],
  plan: ['policy', 'page', 'trace'],
  control: ['plan', 'store', 'fleet', 'policy', 'api', 'bench', 'http', 'convert', 'hub'],
  gateway: ['http', 'api', 'policy', 'meter'],
  app: ['base', 'page', 'trace', 'io', 'http', 'api', 'policy', 'meter', 'engine', 'fleet', 'store', 'bench', 'plan',
        'convert', 'hub', 'control', 'gateway'],
};

// What a folder's own files may include beside its links, without passing it on.
const kPrivateLinks = { meter: ['store'] };

// The rooms of a folder, each with those that it may include beside its own; the folder's own files may
// include all.
const kRooms = {
  bench: {
    record: [],
    schedule: ['record'],
    workload: ['schedule', 'record'],
    judge: ['record'],
    drive: ['record', 'schedule', 'workload', 'judge'],
    report: ['record', 'judge'],
    agents: ['record', 'schedule', 'workload', 'judge', 'drive'],
    prove: ['record', 'schedule', 'workload', 'judge', 'drive', 'report'],
  },
};

// Headers of the world that only some places may include.
const kReserved = [
  { header: /^(llama|ggml[\w-]*|gguf)\.h$/, within: ['src/engine/llama/'] },
  { header: /^(sys\/(socket|un)\.h|netinet\/|arpa\/|netdb\.h)/, within: ['src/io/'] },
  // Processes, too, tell of their end through descriptors.
  { header: /^sys\/(epoll|eventfd|timerfd)\.h$/, within: ['src/io/', 'src/fleet/'] },
  { header: /^boost\/beast/, within: ['src/http/'], files: /\.cc$/ },
  { header: /^sqlite3\.h$/, within: ['src/store/', 'src/app/'] },
  { header: /^CLI\//, within: ['src/app/'] },
];

// Folders whose code is a function of its arguments alone.
const kPure = ['src/api/', 'src/page/', 'src/policy/', 'src/bench/judge/', 'src/bench/report/'];
const kImpureHeaders = /^(mutex|shared_mutex|thread|condition_variable|fstream|sys\/.*|unistd\.h)$/;
const kImpureCode = /\b(Clock|steady_clock|system_clock)::now\s*\(|\bstd::(random_device|getenv)\b/;

export function allowedFolders(folder) {
  const allowed = new Set([folder]);
  const add = (name) => {
    for (const link of kLinks[name] ?? []) {
      if (!allowed.has(link)) {
        allowed.add(link);
        add(link);
      }
    }
  };
  add(folder);
  for (const link of kPrivateLinks[folder] ?? []) allowed.add(link);
  return allowed;
}

// The room of a folder with rooms that a file lies in; '.' is the folder itself, undefined a folder without, or a test: it
// may look anywhere in its folder.
function roomOf(path) {
  const [, folder, room] = /^src\/([^/]+)\/(?:([^/]+)\/)?[^/]+$/.exec(path) ?? [];
  if (!(folder in kRooms)) return undefined;
  return room ?? '.';
}

// Complaints [{line, rule, message}] about a file's includes.
export function checkLayers(file) {
  const complaints = [];
  const folder = /^src\/([^/]+)\//.exec(file.path)?.[1];
  if (folder && !(folder in kLinks)) {
    complaints.push({ line: 1, rule: 'layers', message: `src/${folder} has no place in the order` });
  }
  const allowed = folder ? allowedFolders(folder) : undefined;
  for (const include of includesOf(file)) {
    const complain = (rule, message) => complaints.push({ line: include.line, rule, message });
    const target = include.path.includes('/') ? include.path.split('/')[0] : undefined;
    if (!include.system && allowed && target in kLinks && !allowed.has(target)) {
      complain('layers', `${folder} must not know of ${target} (${include.path})`);
    }
    const room = isTest(file.path) || /_testing\.h$/.test(file.path) ? undefined : roomOf(file.path);
    const asked = include.system ? undefined : roomOf(`src/${include.path}`);
    if (room && room !== '.' && target === folder && asked !== room && !(kRooms[folder][room] ?? []).includes(asked)) {
      complain('layers', `${folder}/${room} must not know of ${include.path}`);
    }
    for (const reserved of kReserved) {
      if (!reserved.header.test(include.path) || !folder) continue;
      const here = reserved.within.some((prefix) => file.path.startsWith(prefix));
      if (!here || (reserved.files && !reserved.files.test(file.path))) {
        complain('reserved', `<${include.path}> belongs to ${reserved.within.join(', ')} alone`);
      }
    }
    if (kPure.some((prefix) => file.path.startsWith(prefix)) && !isTest(file.path) &&
        kImpureHeaders.test(include.path)) {
      complain('pure', `${folder} is pure: no <${include.path}>`);
    }
  }
  if (kPure.some((prefix) => file.path.startsWith(prefix)) && !isTest(file.path)) {
    file.code.split('\n').forEach((code, index) => {
      const match = kImpureCode.exec(code);
      if (match) {
        complaints.push(
            { line: index + 1, rule: 'pure', message: `${folder} is pure: no ${match[0]}` });
      }
    });
  }
  return complaints;
}

export const isTest = (path) => /_(test|benchmark|fuzz)\.cc$/.test(path);
