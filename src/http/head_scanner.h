// HeadScanner: finds where a head ends, looking at each byte once however they arrive.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "http/limits.h"

namespace penstock::http {

class HeadScanner {
 public:
  // `bytes` starts at the head's first byte and only ever grows between calls. Returns the head's
  // size including its empty line, 0 while it is incomplete. Refuses as early as the bytes allow,
  // so that no peer is waited for in vain: a first byte that starts no head (TLS on a plain port),
  // a line that ends without CR (kInvalidArgument), more than limits.bytes_max (kHeadTooLarge). How
  // the bytes are cut between calls never changes the answer.
  Result<std::size_t> Scan(std::string_view bytes, const HeadLimits& limits);

  // For the next head.
  void Reset() { *this = {}; }

 private:
  std::size_t scanned_ = 0;
  std::size_t line_start_ = 0;
};

}  // namespace penstock::http
