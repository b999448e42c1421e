#include "bench/drive/environment.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string_view>

namespace penstock::bench {
namespace {

constexpr rlim_t kOtherDescriptors = 64;  // Files, loops and what the libraries hold.

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

}  // namespace

Environment ReadEnvironment() {
  Environment environment;
  environment.host_cpu = ProcessorName();
  environment.host_cores = UsableCores();
  utsname system{};
  if (::uname(&system) == 0) {
    environment.system = fmt::format("{} {}", system.sysname, system.release);
  }
  environment.build_type = PENSTOCK_BUILD_TYPE;
  environment.version = PENSTOCK_VERSION;
  return environment;
}

std::string UtcText(std::int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(unix_ms)};
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (at - seconds).count());
}

Status ReserveDescriptors(int connections) {
  const rlim_t needed = static_cast<rlim_t>(connections) + kOtherDescriptors;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return {};
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max < needed || ::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Fail(Code::kExhausted,
                fmt::format("concurrency {} needs {} open files, and this system allows {}; raise "
                            "`ulimit -n`",
                            connections, needed, limit.rlim_max),
                "concurrency");
  }
  return {};
}

int AllDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kOtherDescriptors) return 256;
  constexpr rlim_t kMost = 10'000'000;
  return static_cast<int>(std::min(limit.rlim_cur - kOtherDescriptors, kMost));
}

}  // namespace penstock::bench
