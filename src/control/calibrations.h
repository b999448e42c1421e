// Calibrations: what is known of models on this hardware.
//
// On the control thread; the store blocks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "control/machine.h"
#include "policy/calibration.h"
#include "store/store.h"

namespace penstock::control {

class Calibrations {
 public:
  // `store` is borrowed and outlives this. `hardware_hash`: see HardwareHash().
  Calibrations(store::Store& store, std::string hardware_hash)
      : store_(store), hardware_hash_(std::move(hardware_hash)) {}

  // Of the model with these files on this hardware; nullopt if it was never measured. A damaged
  // row counts as none, and is told in the log.
  std::optional<policy::Calibration> Find(const std::string& model_hash);
  // Durable when it returns. Replaces.
  Status Keep(const policy::Calibration& calibration);

  // The unit in which its throughput is sold; kUncalibratedChunk if it was never measured.
  std::int64_t ChunkOf(const std::string& model_hash);

  const std::string& hardware_hash() const { return hardware_hash_; }

 private:
  store::Store& store_;
  std::string hardware_hash_;
  std::map<std::string, policy::Calibration> known_;  // By model; what was read or kept.
};

}  // namespace penstock::control
