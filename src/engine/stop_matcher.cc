// Finding stop strings in a stream.
#include "engine/stop_matcher.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace penstock::engine {

Status ValidateStops(const std::vector<std::string>& stops) {
  if (stops.size() > kStopsMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("stop has {} strings; at most {} are allowed", stops.size(), kStopsMax),
                "stop");
  }
  for (const std::string& stop : stops) {
    if (stop.empty()) return Fail(Code::kInvalidArgument, "stop contains an empty string", "stop");
    if (stop.size() > kStopBytesMax) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("a stop string has {} bytes; at most {} are allowed", stop.size(),
                              kStopBytesMax),
                  "stop");
    }
  }
  return {};
}

bool StopMatcher::Feed(std::string_view piece, std::string& out) {
  CHECK(!stopped_, "a stopped stream gets no more text");
  if (stops_.empty()) {
    out += piece;
    return false;
  }
  pending_ += piece;
  const std::size_t begin = FirstCompleteStop(piece.size());
  if (begin != std::string::npos) {
    out.append(pending_, 0, begin);
    pending_.clear();
    return stopped_ = true;
  }
  const std::size_t free = pending_.size() - HeldBack();
  out.append(pending_, 0, free);
  pending_.erase(0, free);
  return false;
}

void StopMatcher::Flush(std::string& out) {
  out += pending_;
  pending_.clear();
}

// Where the stop string begins that is complete first; npos if none. `fresh`: bytes at the end of
// pending_ that were not searched before.
std::size_t StopMatcher::FirstCompleteStop(std::size_t fresh) const {
  std::size_t best_end = std::string::npos;
  std::size_t best_begin = std::string::npos;
  const std::size_t searched = pending_.size() - fresh;
  for (const std::string& stop : stops_) {
    const std::size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    const std::size_t begin = pending_.find(stop, from);
    if (begin == std::string::npos) continue;
    const std::size_t end = begin + stop.size();
    if (best_end == std::string::npos || end < best_end ||
        (end == best_end && begin < best_begin)) {
      best_end = end;
      best_begin = begin;
    }
  }
  return best_begin;
}

// How many bytes at the end of pending_ may begin a stop string.
std::size_t StopMatcher::HeldBack() const {
  std::size_t held = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, pending_.size()); length > held; --length) {
      if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, length))) {
        held = length;
        break;
      }
    }
  }
  return held;
}

}  // namespace penstock::engine
