// Property: whatever parses as records is written again and parses to the same records.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bench/record/record_json.h"
#include "bench/report/report.h"

using penstock::bench::AppendLine;
using penstock::bench::LevelRecord;
using penstock::bench::ParseRecords;
using penstock::bench::RenderReport;
using penstock::bench::RequestRecord;
using penstock::bench::Summarise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const auto run = ParseRecords({reinterpret_cast<const char*>(bytes), size});
  if (!run) return 0;
  std::string text;
  AppendLine(run->header, text);
  for (const RequestRecord& request : run->requests) AppendLine(request, text);
  for (const LevelRecord& level : run->levels) AppendLine(level, text);
  const auto again = ParseRecords(text);
  if (!again || again->header != run->header || again->requests != run->requests ||
      again->levels != run->levels) {
    std::abort();
  }
  // And no records, however odd, break a report.
  if (RenderReport(Summarise(*run)).empty()) std::abort();
  return 0;
}
