// Property: how a chunked body is cut never changes its payload, its end, or the verdict; and the
// payload always lies in the bytes that were taken.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "http/chunked.h"

namespace penstock::http {
namespace {

constexpr ChunkLimits kLimits{
    .size_digits_max = 8, .extension_bytes_max = 8, .trailer_bytes_max = 32};

struct Decoded {
  bool good = true;
  bool ended = false;
  std::string payload;
  std::size_t taken = 0;
};

Decoded Decode(std::string_view bytes, std::size_t step) {
  ChunkedDecoder decoder;
  Decoded decoded;
  std::vector<std::string_view> pieces;
  while (decoded.taken < bytes.size() && !decoder.ended()) {
    // Its own copy, so that the sanitizer sees every read past the end.
    const std::string piece(bytes.substr(decoded.taken, step));
    pieces.clear();
    const auto taken = decoder.Decode(piece, kLimits, pieces);
    for (const std::string_view part : pieces) {
      CHECK(part.data() >= piece.data() && part.data() + part.size() <= piece.data() + piece.size(),
            "payload outside the bytes");
      decoded.payload += part;
    }
    if (!taken) {
      decoded.good = false;
      return decoded;
    }
    CHECK(*taken <= piece.size(), "more was taken than given");
    CHECK(*taken == piece.size() || decoder.ended(), "bytes were left before the end");
    decoded.taken += *taken;
  }
  decoded.ended = decoder.ended();
  return decoded;
}

}  // namespace
}  // namespace penstock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using penstock::http::Decode;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = Decode(bytes, bytes.size());
  for (const std::size_t step : {std::size_t{1}, std::size_t{1} + data[0]}) {
    const auto cut = Decode(bytes, step);
    CHECK(cut.good == whole.good, "a cut changed the verdict");
    CHECK(cut.payload == whole.payload, "a cut changed the payload");
    if (whole.good) CHECK(cut.ended == whole.ended && cut.taken == whole.taken, "... or the end");
  }
  return 0;
}
