// CalibrationJson: a calibration as the JSON document that is stored and shown.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include "base/result.h"
#include "policy/calibration.h"

namespace penstock::control {

boost::json::object CalibrationJson(const policy::Calibration& calibration);

// What CalibrationJson wrote, but for the last bit of a fraction. kCorrupt, naming the member.
Result<policy::Calibration> ParseCalibration(std::string_view document);

}  // namespace penstock::control
