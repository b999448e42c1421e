// Fetch: one GET over redirects, its body handed on piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::hub {

inline constexpr int kRedirectsMax = 10;

struct FetchOptions {
  std::string url{};
  std::string token{};    // Sent as a bearer token to the first host only; "" for none.
  std::int64_t from = 0;  // Byte to begin at, where the server can.
  bool insecure = false;  // Accept any TLS certificate.
  Duration stall_max = std::chrono::seconds(60);  // Without a byte.
  // Told once, before the body: whether it begins at `from`, or at 0.
  std::function<Status(bool resumed)> on_start{};
  // A piece of the body. An error ends the fetch with it.
  std::function<Status(std::string_view bytes)> on_bytes{};
};

// Blocks. Errors: kUnavailable and kDeadline and kUpstream (trying again may help); those of a
// status (kUnauthenticated, kForbidden, kNotFound, kRateLimited); those of the callbacks.
Status Fetch(const FetchOptions& options);

}  // namespace penstock::hub
