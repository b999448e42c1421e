// Inventory: what this machine gives to replicas, and who has what of it. Pure but for Detect().
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock::fleet {

struct InventorySettings {
  std::int64_t memory_bytes = 0;  // For all replicas together; 0: not counted.
  std::vector<int> cores = {};    // That may be given away.
  int cores_per_replica = 0;      // 0: replicas share them all.
};

class Inventory {
 public:
  explicit Inventory(InventorySettings settings) : settings_(std::move(settings)) {}

  struct Assignment {
    std::int64_t memory_bytes = 0;
    std::vector<int> cores;  // Empty: shared.
  };
  // Takes the lowest free cores. kExhausted, with the numbers: there is no room now. `id` must not
  // hold anything.
  Result<Assignment> Reserve(std::uint64_t id, std::int64_t memory_bytes);
  // Unknown ids are ignored.
  void Release(std::uint64_t id);

  const InventorySettings& settings() const { return settings_; }
  std::int64_t memory_used() const { return memory_used_; }
  std::size_t holders() const { return held_.size(); }

 private:
  InventorySettings settings_;
  std::map<std::uint64_t, Assignment> held_;
  std::int64_t memory_used_ = 0;
};

// Cores that this process may run on, and memory that it may use (the machine's, or its control
// group's if that is less); 0 if that cannot be read.
std::vector<int> DetectCores();
std::int64_t DetectMemoryBytes();

}  // namespace penstock::fleet
