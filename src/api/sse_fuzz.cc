// Property: how the stream is cut into pieces never changes what is parsed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/sse.h"

namespace {

struct Outcome {
  std::vector<std::string> events;
  bool failed = false;
  bool inside_event = false;
  bool operator==(const Outcome&) const = default;
};

Outcome Parse(std::string_view stream, std::size_t limit, std::size_t piece) {
  penstock::SseParser parser(limit);
  Outcome outcome;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    const std::string part(stream.substr(at, piece));
    parser.Feed(part);
    for (;;) {
      const auto event = parser.Next();
      if (!event) {
        outcome.failed = true;
        return outcome;
      }
      if (!*event) break;
      const penstock::SseEvent& seen = **event;
      if (seen.begin > seen.end || seen.end > at + part.size()) std::abort();
      if (seen.data.size() > limit) std::abort();
      outcome.events.push_back(std::string(seen.data) + '\x1f' + std::string(seen.type) + '\x1f' +
                               std::string(seen.id));
    }
  }
  outcome.inside_event = parser.InsideEvent();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  const std::size_t limit = 1 + bytes[0];
  const std::size_t piece = 1 + bytes[1] % 64;
  const Outcome whole = Parse(stream, limit, stream.size() + 1);
  if (Parse(stream, limit, piece) != whole) std::abort();
  if (Parse(stream, limit, 1) != whole) std::abort();
  return 0;
}
