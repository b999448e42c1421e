// Usage reader: requests with their tokens out of files of any length, into one series per
// endpoint.
//
// Takes JSON lines (API responses with `usage`, alone or under `body` or `response`; exports of the
// ledger; Mooncake's and our load test's records) and CSV with a header (Azure's traces, exports of
// usage tables). Memory does not grow with the lines: they are read, added and forgotten. What is
// kept are minutes, as many as kUsageQuartersMax allows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "plan/usage_series.h"

namespace penstock::plan {

// Names as the file has them; "" is found by the usual names (kUsualNames of usage_fields.h).
struct UsageColumns {
  std::string time{};
  std::string input{};
  std::string output{};
  std::string cached{};
  std::string key{};               // What to tell series apart by: endpoint, deployment, model.
  std::int64_t time_unit_ns = 0;   // What a plain number of `time` counts; 0: told by its size.
  std::int64_t zone_offset_s = 0;  // East of Greenwich, of times that name no zone.

  // "time=when,input=tokens_in,unit=ms,zone=+02:00". Errors: kInvalidArgument naming the part.
  static Result<UsageColumns> Parse(std::string_view text);
};

inline constexpr std::size_t kUsageLineBytesMax = std::size_t{16} << 20;  // A response, whole.
inline constexpr std::size_t kUsageKeysMax = 10'000;
inline constexpr std::size_t kUsageKeyBytesMax = 512;
// Quarters of an hour with requests, of all keys together: some 600 bytes each, so half a gigabyte
// at most. Four weeks of nearly 300 endpoints.
inline constexpr std::size_t kUsageQuartersMax = 800'000;
// Rows that cannot be read are counted and left out, up to this share of all.
inline constexpr double kBadRowShareMax = 0.01;

struct UsageHistory {
  std::map<std::string, UsageSeries> series{};  // By key; "" where rows have none.
  std::int64_t rows = 0;
  std::int64_t bad_rows = 0;
  std::string first_bad{};   // "row 17: …", "" for none.
  std::size_t quarters = 0;  // Kept, of all series.
  std::size_t quarters_max = kUsageQuartersMax;
};

// Called now and then with the share of the file that was read, 0 to 1.
using UsageProgress = std::function<void(double)>;

// Adds a file to `history`. Errors: kNotFound, kCorrupt (naming row and column), kTooLarge (a row
// that is too long, or more time and keys than `quarters_max` holds).
Status ReadUsage(const std::string& path, const UsageColumns& columns,
                 const UsageProgress& progress, UsageHistory& history);

// The same for text that is at hand. For tests and small inputs.
Status ReadUsageText(std::string_view text, const UsageColumns& columns, UsageHistory& history);

}  // namespace penstock::plan
