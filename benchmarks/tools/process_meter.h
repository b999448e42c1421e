// What a process has cost so far, as the kernel accounts it.
#pragma once

#include <string>
#include <vector>

#include "poller.h"

namespace measure {

struct ProcessCost {
  // Time on a processor, all threads and processes together: the scheduler's own account, which
  // includes the kernel's work on their behalf (system calls, soft interrupts) and leaves out what
  // a hypervisor stole.
  Nanoseconds processor{};
  long resident_bytes = 0;
};

// Adds up `processes`. A process that is gone counts as nothing.
ProcessCost Measure(const std::vector<int>& processes);

}  // namespace measure
