#include "control/calibrations.h"

#include "base/log.h"
#include "control/calibration_json.h"

namespace penstock::control {

std::optional<policy::Calibration> Calibrations::Find(const std::string& model_hash) {
  if (const auto known = known_.find(model_hash); known != known_.end()) return known->second;
  const auto row = store_.GetCalibration(model_hash, hardware_hash_);
  if (!row) {
    Log().error("calibration of {}: {}", model_hash, row.error().message);
    return std::nullopt;
  }
  if (!*row) return std::nullopt;
  auto calibration = ParseCalibration((*row)->document);
  if (!calibration) {
    Log().error("calibration of {}: {}", model_hash, calibration.error().message);
    return std::nullopt;
  }
  return known_.emplace(model_hash, std::move(*calibration)).first->second;
}

Status Calibrations::Keep(const policy::Calibration& calibration) {
  const Status kept =
      store_.PutCalibration({.model_hash = calibration.model_hash,
                             .hardware_hash = calibration.hardware_hash,
                             .document = boost::json::serialize(CalibrationJson(calibration)),
                             .measured_at = calibration.measured_at});
  if (kept) known_[calibration.model_hash] = calibration;
  return kept;
}

std::int64_t Calibrations::ChunkOf(const std::string& model_hash) {
  const auto calibration = Find(model_hash);
  return calibration ? calibration->chunk_tokens_per_s : policy::kUncalibratedChunk;
}

}  // namespace penstock::control
