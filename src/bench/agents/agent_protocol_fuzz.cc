// Whatever a machine sends in an agent's place: it is read, or refused, and never more than that.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "bench/agents/agent_protocol.h"

using penstock::bench::ParseClock;
using penstock::bench::ParseEnd;
using penstock::bench::ParseFitLesson;
using penstock::bench::ParseLevelOrder;
using penstock::bench::ParseSessionOrder;
using penstock::bench::TakeLines;
using penstock::bench::ToJson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock::bench;  // tidy: allow(using-namespace): the fuzzer's entry must be
                                    // global.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What is read is written the same way again.
  if (const auto order = ParseSessionOrder(text)) {
    const std::string written = ToJson(*order);
    CHECK(ToJson(*ParseSessionOrder(written)) == written, "a session's order changes");
  }
  if (const auto order = ParseLevelOrder(text)) {
    const std::string written = ToJson(*order);
    CHECK(ToJson(*ParseLevelOrder(written)) == written, "a level's order changes");
  }
  if (const auto lesson = ParseFitLesson(text)) {
    const std::string written = ToJson(*lesson);
    CHECK(ToJson(*ParseFitLesson(written)) == written, "a lesson changes");
  }
  static_cast<void>(ParseClock(text));
  static_cast<void>(ParseEnd(text));
  std::string lines(text);
  const std::size_t before = lines.size();
  static_cast<void>(TakeLines(lines));
  CHECK(lines.size() <= before, "lines grow");
  return 0;
}
