// Property: no bytes crash the reader, and however they are read, each row is counted once.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plan/usage_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  penstock::plan::UsageHistory history;
  const auto read = penstock::plan::ReadUsageText(text, {}, history);
  std::int64_t counted = 0;
  for (const auto& [key, series] : history.series) {
    if (series.empty()) std::abort();
    if (const auto summary = series.Summarize())
      counted += summary->requests;
    else
      return 0;
  }
  if (read && counted != history.rows - history.bad_rows) std::abort();
  return 0;
}
