#include "app/host_use.h"

#include <chrono>
#include <fstream>

namespace penstock::app {
namespace {

constexpr Duration kSpan = std::chrono::minutes(1);
constexpr Duration kApart = std::chrono::seconds(5);

// Memory that is not available; < 0: not known.
double MemoryPercent(const std::string& proc) {
  std::ifstream memory(proc + "/meminfo");
  std::string word;
  double all = 0;
  double available = 0;
  for (double value = 0; memory >> word >> value;) {
    if (word == "MemTotal:") all = value;
    if (word == "MemAvailable:") available = value;
    memory.ignore(64, '\n');
  }
  return all > 0 ? 100 * (1 - available / all) : -1;
}

}  // namespace

// What was not idle of the time since then; < 0: not known.
double HostReader::CpuPercent(TimePoint now) {
  std::ifstream stat(proc_ + "/stat");
  std::string word;
  Times times{.at = now};
  stat >> word;
  for (int i = 0; i < 8; ++i) {
    double value = 0;
    stat >> value;
    times.total += value;
    if (i == 3 || i == 4) times.idle += value;
  }
  if (!stat) return -1;
  while (earlier_.size() > 1 && earlier_[1].at + kSpan <= now) earlier_.pop_front();
  const Times& then = earlier_.front();
  const double total = times.total - then.total;
  const double percent = total > 0 ? 100 * (1 - (times.idle - then.idle) / total) : -1;
  if (earlier_.back().at + kApart <= now) earlier_.push_back(times);
  return percent;
}

meter::HostUse HostReader::Read(TimePoint now) {
  return {
      .cpu_percent = CpuPercent(now), .memory_percent = MemoryPercent(proc_), .gpus = gpus_.Read()};
}

}  // namespace penstock::app
