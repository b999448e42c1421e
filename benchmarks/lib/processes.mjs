// What processes have cost so far, read from /proc.

import {readdirSync, readFileSync} from 'node:fs';

// Nanoseconds on a processor of all threads of `processes`, as the scheduler accounts them.
export function processorTime(processes) {
  let total = 0;
  for (const process_id of processes) {
    for (const thread of readdirSync(`/proc/${process_id}/task`)) {
      total += Number(
          readFileSync(`/proc/${process_id}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return total;
}

// Bytes in memory, shared libraries included.
export function residentBytes(processes) {
  return processes.reduce((sum, process_id) => {
    const [, kilobytes] =
        /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process_id}/status`, 'utf8'));
    return sum + Number(kilobytes) * 1024;
  }, 0);
}
