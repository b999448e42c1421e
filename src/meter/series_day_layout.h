// What stands where in the bytes of a day (series_day.h): the columns and the numbers of their
// sections. For its writer and its reader only.
#pragma once

#include <array>
#include <cstdint>

#include "meter/series_cell.h"

namespace penstock::meter {

inline constexpr std::uint64_t kDayVersion = 2;
inline constexpr std::uint64_t kDayIndexSection = 1;

struct StatColumn {
  Column column;
  GaugeStat SeriesCell::* stat;
};
inline constexpr std::array kDayStats = {
    StatColumn{Column::kInput, &SeriesCell::input},
    StatColumn{Column::kCached, &SeriesCell::cached},
    StatColumn{Column::kOutput, &SeriesCell::output},
    StatColumn{Column::kTotal, &SeriesCell::total},
    StatColumn{Column::kTtftPerToken, &SeriesCell::ttft_per_token_ns},
};
struct DistributionColumn {
  Column column;
  Distribution SeriesCell::* distribution;
};
inline constexpr std::array kDayDistributions = {
    DistributionColumn{Column::kTtft, &SeriesCell::ttft_us},
    DistributionColumn{Column::kTpot, &SeriesCell::tpot_us},
    DistributionColumn{Column::kDuration, &SeriesCell::duration_us},
    DistributionColumn{Column::kQueue, &SeriesCell::queue_us},
};
inline constexpr std::array kDayCounts = {&SeriesCell::requests, &SeriesCell::disconnected,
                                          &SeriesCell::failed, &SeriesCell::cost_milli,
                                          &SeriesCell::reserved_milli};
inline constexpr std::uint64_t kDaySections = 4 + kDayStats.size() + kDayDistributions.size();

// The index is 1; columns follow, by the number of their bit.
inline std::uint64_t DaySectionOf(Column column) {
  std::uint64_t section = kDayIndexSection + 1;
  for (auto bits = static_cast<unsigned>(column); bits > 1; bits >>= 1) ++section;
  return section;
}

}  // namespace penstock::meter
