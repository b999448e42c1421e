// Whole UTF-8 characters out of a stream of bytes.
#include "engine/utf8_stream.h"

#include <algorithm>
#include <cstdint>

namespace penstock::engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  int length;                      // Bytes in the character; 0: cannot lead.
  std::uint8_t second_low = 0x80;  // Range of the second byte: keeps out overlong forms, surrogates
  std::uint8_t second_high = 0xBF;  // and what lies above U+10FFFF.
};

Lead Classify(std::uint8_t byte) {
  if (byte < 0x80) return {.length = 1};
  if (byte < 0xC2) return {.length = 0};
  if (byte < 0xE0) return {.length = 2};
  if (byte == 0xE0) return {.length = 3, .second_low = 0xA0};
  if (byte == 0xED) return {.length = 3, .second_high = 0x9F};
  if (byte < 0xF0) return {.length = 3};
  if (byte == 0xF0) return {.length = 4, .second_low = 0x90};
  if (byte == 0xF4) return {.length = 4, .second_high = 0x8F};
  if (byte < 0xF4) return {.length = 4};
  return {.length = 0};
}

struct Scan {
  std::size_t
      size;  // Bytes looked at: a whole character, a broken part, or an unfinished beginning.
  enum { kWhole, kBroken, kUnfinished } kind;
};

Scan ScanOne(std::string_view text) {
  const Lead lead = Classify(static_cast<std::uint8_t>(text[0]));
  if (lead.length == 0) return {1, Scan::kBroken};
  std::size_t size = 1;
  for (; size < static_cast<std::size_t>(lead.length); ++size) {
    if (size == text.size()) return {size, Scan::kUnfinished};
    const auto byte = static_cast<std::uint8_t>(text[size]);
    const std::uint8_t low = size == 1 ? lead.second_low : 0x80;
    const std::uint8_t high = size == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {size, Scan::kBroken};
  }
  return {size, Scan::kWhole};
}

}  // namespace

void Utf8Stream::Feed(std::string_view bytes, std::string& out) {
  if (pending_.empty() && std::ranges::all_of(bytes, [](char c) { return (c & 0x80) == 0; })) {
    out += bytes;
    return;
  }
  pending_ += bytes;
  std::string_view text = pending_;
  while (!text.empty()) {
    const Scan scan = ScanOne(text);
    if (scan.kind == Scan::kUnfinished) break;
    out += scan.kind == Scan::kWhole ? text.substr(0, scan.size) : kReplacement;
    text.remove_prefix(scan.size);
  }
  pending_.erase(0, pending_.size() - text.size());
}

bool Utf8Stream::Fits(std::string_view bytes) const {
  std::string joined;
  if (!pending_.empty()) {
    joined = pending_;
    joined += bytes;
    bytes = joined;
  }
  while (!bytes.empty()) {
    const Scan scan = ScanOne(bytes);
    if (scan.kind == Scan::kBroken) return false;
    bytes.remove_prefix(scan.size);
  }
  return true;
}

void Utf8Stream::Flush(std::string& out) {
  if (!pending_.empty()) out += kReplacement;
  pending_.clear();
}

}  // namespace penstock::engine
