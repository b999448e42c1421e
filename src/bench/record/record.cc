#include "bench/record/record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace penstock::bench {
namespace {

constexpr std::array<std::string_view, kErrorKinds> kErrorNames = {
    "none",   "connect",   "timeout",   "stalled",      "rate_limited", "status",
    "stream", "truncated", "malformed", "not_a_stream", "empty",        "cancelled"};
constexpr std::array<std::string_view, 4> kPhaseNames = {"fit", "warmup", "measured", "cooldown"};
constexpr std::array<std::string_view, kOddities> kOddityNames = {
    "no_done", "bad_utf8", "usage_too_small", "usage_too_large", "after_done"};

template <typename Enum, std::size_t count>
std::optional<Enum> Named(const std::array<std::string_view, count>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view Name(ErrorKind kind) { return kErrorNames[static_cast<std::size_t>(kind)]; }

std::optional<ErrorKind> ErrorKindNamed(std::string_view name) {
  return Named<ErrorKind>(kErrorNames, name);
}

std::string_view Name(Phase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

std::optional<Phase> PhaseNamed(std::string_view name) { return Named<Phase>(kPhaseNames, name); }

std::string_view Name(Oddity oddity) { return kOddityNames[static_cast<std::size_t>(oddity)]; }

std::optional<Oddity> OddityNamed(std::string_view name) {
  return Named<Oddity>(kOddityNames, name);
}

int EstimateFirstChunkTokens(const ReplyShape& shape) {
  if (shape.chunks <= 0 || shape.tokens <= 0) return 0;
  if (shape.chunks == 1) return shape.tokens;
  if (shape.chunks >= shape.tokens) return 1;
  const int most = shape.tokens - (shape.chunks - 1);  // Every later chunk holds at least one.
  const int even = (shape.tokens + shape.chunks - 1) / shape.chunks;
  if (shape.all_bytes <= 0) return std::min(even, most);
  const double share =
      static_cast<double>(shape.first_chunk_bytes) / static_cast<double>(shape.all_bytes);
  const int by_text = std::clamp(static_cast<int>(std::lround(share * shape.tokens)), 1, most);
  // Words differ in length, so an even share is believed within half of itself.
  const bool agrees = std::abs(by_text - even) * 2 <= even;
  return agrees ? std::min(even, most) : by_text;
}

}  // namespace penstock::bench
