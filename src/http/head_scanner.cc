#include "http/head_scanner.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "http/characters.h"
#include "http/quote.h"

namespace penstock::http {

Result<std::size_t> HeadScanner::Scan(std::string_view bytes, const HeadLimits& limits) {
  if (bytes.empty()) return 0;
  if (!IsToken(bytes[0])) {
    return Fail(Code::kInvalidArgument,
                "head: first byte " + Quote(bytes.substr(0, 1)) + " starts no HTTP/1.x message",
                "head");
  }
  const std::string_view window = bytes.substr(0, limits.bytes_max);
  for (;;) {
    const std::size_t lf = window.find('\n', scanned_);
    if (lf == std::string_view::npos) break;
    scanned_ = lf + 1;
    if (lf == line_start_ || window[lf - 1] != '\r') {
      return Fail(
          Code::kInvalidArgument,
          "head: line " + Quote(window.substr(line_start_, lf - line_start_)) + " ends without CR",
          "head");
    }
    if (lf == line_start_ + 1) return scanned_;
    line_start_ = scanned_;
  }
  scanned_ = window.size();
  if (bytes.size() >= limits.bytes_max) {
    return Fail(Code::kHeadTooLarge,
                "head: longer than " + std::to_string(limits.bytes_max) + " bytes", "head");
  }
  return 0;
}

}  // namespace penstock::http
