// Headers between a gateway and its replicas: what the gateway knows of a request and the replica's
// scheduler needs. A client's own headers of these names are not passed on.
#pragma once

#include <cstddef>
#include <string_view>

namespace penstock {

// Milliseconds from the request's arrival at the replica within which its first token was promised
// (an integer, 0 or more). Such requests are served before those without, the earliest first.
inline constexpr std::string_view kDeadlineHeader = "x-penstock-deadline-ms";

// Whom the work counts for (an endpoint, a key: at most kCallerBytesMax of them are looked at).
// Requests without a deadline are served fairly between callers.
inline constexpr std::string_view kCallerHeader = "x-penstock-caller";
inline constexpr std::size_t kCallerBytesMax = 128;

}  // namespace penstock
