// PredictionTimes: how long replicas took for an endpoint's requests of one minute, from the
// ledger: from the end of the wait for a replica to the answer's last byte.
//
// The series has no such times. A minute's records are read once for all endpoints and kept until
// another minute is asked for. Not thread-safe; reads files.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "meter/series_cell.h"

namespace penstock::meter {

class PredictionTimes {
 public:
  explicit PredictionTimes(std::string ledger_folder) : folder_(std::move(ledger_folder)) {}

  // In microseconds, of the requests that a model answered. `now`: a minute that ended just now is
  // not kept, since its last records may still be on their way to the disk.
  Result<Distribution> Of(const std::string& endpoint, Minute minute, WallTime now);

 private:
  std::string folder_;
  std::optional<Minute> minute_{};  // That is kept.
  std::map<std::string, Distribution> times_{};
};

}  // namespace penstock::meter
