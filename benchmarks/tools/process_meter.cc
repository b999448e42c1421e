// Process costs out of /proc: schedstat of every thread, and the resident set.
#include "process_meter.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <memory>

namespace measure {
namespace {

Nanoseconds ProcessorTime(int process) {
  const std::string folder = fmt::format("/proc/{}/task", process);
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(folder.c_str()), ::closedir);
  if (threads == nullptr) return {};
  Nanoseconds total{};
  while (const dirent* thread = ::readdir(threads.get())) {
    if (thread->d_name[0] == '.') continue;
    std::ifstream file(fmt::format("{}/{}/schedstat", folder, thread->d_name));
    long running = 0;
    if (file >> running) total += Nanoseconds(running);
  }
  return total;
}

long ResidentBytes(int process) {
  std::ifstream file(fmt::format("/proc/{}/statm", process));
  long pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

ProcessCost Measure(const std::vector<int>& processes) {
  ProcessCost cost;
  for (const int process : processes) {
    cost.processor += ProcessorTime(process);
    cost.resident_bytes += ResidentBytes(process);
  }
  return cost;
}

}  // namespace measure
