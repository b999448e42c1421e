// RequestEnd: how a request ended, in metrics, ledger and series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::meter {

enum class RequestEnd : std::uint8_t {
  kCompleted,     // The whole answer reached the client, and its status was below 400.
  kClientError,   // 4xx, ours or the replica's.
  kRefused,       // 429.
  kServerError,   // 5xx, or a stream cut by the replica.
  kDisconnected,  // The client left first.
};
inline constexpr std::size_t kRequestEnds = 5;

// "completed", "client_error", "refused", "server_error", "disconnected".
std::string_view ToWord(RequestEnd end);

}  // namespace penstock::meter
