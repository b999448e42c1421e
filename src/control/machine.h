// Machine: what this machine is, as far as it decides what a replica can do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::control {

struct Machine {
  std::string processor{};        // "Intel(R) Xeon(R) ..."; "" unknown.
  int processors = 0;             // That this process may use.
  std::int64_t memory_bytes = 0;  // All there is, the control group's limit respected. 0 unknown.

  // "2 x Intel(R) Xeon(R) ..., 24.0 GB"
  std::string ToString() const;
};

// Asks the kernel.
Machine ReadMachine();

// The value under which calibrations are kept: differs where the machine, the engine or its
// settings differ. `engine`: all that tells one engine from another, its command included.
std::string HardwareHash(const Machine& machine, const std::vector<std::string>& engine);

}  // namespace penstock::control
