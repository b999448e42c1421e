// Property: how a stream of tokens is cut never changes the text that leaves, nor whether it
// stopped; and what leaves is always whole UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "engine/stop_matcher.h"
#include "engine/utf8_stream.h"

namespace {

using penstock::engine::StopMatcher;
using penstock::engine::Utf8Stream;

std::string Through(const std::vector<std::string>& stops, std::string_view text,
                    std::size_t step) {
  StopMatcher matcher(stops);
  Utf8Stream utf8;
  std::string out;
  for (std::size_t at = 0; at < text.size() && !matcher.stopped(); at += step) {
    std::string bytes;
    matcher.Feed(text.substr(at, step), bytes);
    utf8.Feed(bytes, out);
  }
  std::string rest;
  if (!matcher.stopped()) matcher.Flush(rest);
  utf8.Feed(rest, out);
  utf8.Flush(out);
  return out + (matcher.stopped() ? "|stopped" : "|ended");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  std::vector<std::string> stops;
  for (int i = 0; i < penstock::engine::kStopsMax; ++i) {
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) break;
    if (end > 0) stops.emplace_back(input.substr(0, end));
    input.remove_prefix(end + 1);
  }
  if (!penstock::engine::ValidateStops(stops)) return 0;
  const std::string whole = Through(stops, input, input.size() + 1);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
    if (Through(stops, input, step) != whole) std::abort();
  }
  Utf8Stream again;
  std::string same;
  again.Feed(whole, same);
  if (same != whole) std::abort();
  return 0;
}
