// StopMatcher: finds stop strings in a stream of bytes, across any cut, and never lets a part of
// one out.
//
// A pure value. Whatever the pieces, the bytes that come out are those before the first stop string
// to be complete (the longest, where several end at one byte).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::engine {

inline constexpr int kStopsMax = 12;  // Those of a request, and those of a chat template.
inline constexpr int kStopBytesMax = 1024;

// Refuses more than kStopsMax stop strings, empty ones, and ones over kStopBytesMax.
Status ValidateStops(const std::vector<std::string>& stops);

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Appends to `out` the bytes that can no longer be part of a stop string. True once a stop string
  // is complete; then nothing more may be fed.
  bool Feed(std::string_view piece, std::string& out);

  // The stream ended without a stop string: appends what was held back.
  void Flush(std::string& out);

  bool stopped() const { return stopped_; }

 private:
  std::size_t FirstCompleteStop(std::size_t fresh) const;
  std::size_t HeldBack() const;

  std::vector<std::string> stops_;
  std::string pending_;  // Shorter than the longest stop string between calls.
  bool stopped_ = false;
};

}  // namespace penstock::engine
