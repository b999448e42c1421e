#include "control/machine.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

#include "policy/key_table.h"

namespace penstock::control {
namespace {

// The value behind "key :" in a file of such lines.
std::string ValueIn(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

std::optional<std::int64_t> NumberIn(const std::string& text) {
  std::istringstream stream(text);
  std::int64_t number = 0;
  return stream >> number ? std::optional(number) : std::nullopt;
}

std::int64_t MemoryBytes() {
  const auto kibibytes = NumberIn(ValueIn("/proc/meminfo", "MemTotal"));
  std::int64_t bytes = kibibytes.value_or(0) * 1024;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max");
  std::int64_t limit = 0;
  if (limit_file >> limit && limit > 0) bytes = bytes == 0 ? limit : std::min(bytes, limit);
  return bytes;
}

}  // namespace

std::string Machine::ToString() const {
  return fmt::format("{} x {}, {:.1f} GB", processors, processor.empty() ? "processor" : processor,
                     static_cast<double>(memory_bytes) * 1e-9);
}

Machine ReadMachine() {
  Machine machine{.processor = ValueIn("/proc/cpuinfo", "model name"),
                  .memory_bytes = MemoryBytes()};
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) machine.processors = CPU_COUNT(&allowed);
  return machine;
}

std::string HardwareHash(const Machine& machine, const std::vector<std::string>& engine) {
  std::string text = fmt::format("{}\n{}\n", machine.processor, machine.processors);
  for (const std::string& part : engine) text += fmt::format("{} {}\n", part.size(), part);
  return policy::Hex(policy::HashSecret(text));
}

}  // namespace penstock::control
