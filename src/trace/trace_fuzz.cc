// Property: no bytes crash a reader, and what was read is in order of time and within the limits.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "trace/columns.h"
#include "trace/lines_trace.h"
#include "trace/servegen.h"
#include "trace/table_trace.h"

namespace {

void Check(const penstock::Result<penstock::trace::Trace>& trace) {
  if (!trace) {
    if (trace.error().message.empty()) std::abort();
    return;
  }
  std::int64_t last_ns = 0;
  if (trace->arrivals.empty()) std::abort();
  for (const auto& arrival : trace->arrivals) {
    if (arrival.at_ns < last_ns) std::abort();
    if (arrival.input_tokens < 0 || arrival.output_tokens < 0) std::abort();
    last_ns = arrival.at_ns;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  Check(penstock::trace::ParseTable(text, {}));
  Check(penstock::trace::ParseLines(text, {}));
  static_cast<void>(penstock::trace::ColumnNames::Parse(text));
  static_cast<void>(penstock::trace::ParseClientLengths(text));
  if (const auto windows = penstock::trace::ParseClientWindows(text)) {
    penstock::trace::Client client{.windows = *windows, .lengths = {}};
    client.lengths.push_back({.input = *penstock::trace::LengthDistribution::Parse("{7: 1}"),
                              .output = *penstock::trace::LengthDistribution::Parse("{3: 1}")});
    client.windows.resize(std::min<std::size_t>(client.windows.size(), 4));
    for (auto& window : client.windows) window.scale_s = std::max(window.scale_s, 1.0);
    static_cast<void>(penstock::trace::DrawArrivals({client}, {.span_s = 60}));
  }
  return 0;
}
