#include "fleet/inventory.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/check.h"

namespace penstock::fleet {
namespace {

double GiB(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

Result<Inventory::Assignment> Inventory::Reserve(std::uint64_t id, std::int64_t memory_bytes) {
  CHECK(!held_.contains(id), "a replica reserves twice");
  const std::int64_t memory_free = settings_.memory_bytes - memory_used_;
  if (settings_.memory_bytes > 0 && memory_bytes > memory_free) {
    return Fail(Code::kExhausted,
                fmt::format("a replica needs {:.1f} GiB of memory, {:.1f} of {:.1f} GiB are free",
                            GiB(memory_bytes), GiB(memory_free), GiB(settings_.memory_bytes)));
  }
  Assignment assignment{.memory_bytes = memory_bytes, .cores = {}};
  if (settings_.cores_per_replica > 0) {
    for (const int core : settings_.cores) {
      const bool taken = std::ranges::any_of(held_, [core](const auto& entry) {
        const auto& cores = entry.second.cores;
        return std::ranges::find(cores, core) != cores.end();
      });
      if (!taken) assignment.cores.push_back(core);
    }
    const auto wanted = static_cast<std::size_t>(settings_.cores_per_replica);
    if (assignment.cores.size() < wanted) {
      return Fail(Code::kExhausted,
                  fmt::format("a replica needs {} cores, {} of {} are free", wanted,
                              assignment.cores.size(), settings_.cores.size()));
    }
    assignment.cores.resize(wanted);
  }
  memory_used_ += memory_bytes;
  held_.emplace(id, assignment);
  return assignment;
}

void Inventory::Release(std::uint64_t id) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  memory_used_ -= found->second.memory_bytes;
  held_.erase(found);
}

std::vector<int> DetectCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

std::int64_t DetectMemoryBytes() {
  std::int64_t bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  std::int64_t limit = 0;
  // "max" does not read as a number, and leaves the machine's.
  if (std::ifstream file("/sys/fs/cgroup/memory.max"); file >> limit && limit > 0) {
    bytes = std::min(bytes, limit);
  }
  return std::max<std::int64_t>(bytes, 0);
}

}  // namespace penstock::fleet
