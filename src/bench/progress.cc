#include "bench/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "page/numbers.h"

namespace penstock::bench {

using page::DurationText;
using page::Figure;

namespace {

constexpr int kBarColumns = 20;

std::string Bar(long long done, long long total) {
  const long long filled =
      total > 0 ? std::clamp<long long>(done * kBarColumns / total, 0, kBarColumns) : 0;
  std::string bar;
  for (int column = 0; column < kBarColumns; ++column) bar += column < filled ? "█" : "░";
  return bar;
}

std::string CutToColumns(std::string line, std::size_t columns) {
  if (columns == 0) return line;
  std::size_t seen = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if ((line[at] & 0xC0) == 0x80) continue;
    if (seen++ == columns) return line.substr(0, at);
  }
  return line;
}

}  // namespace

double SecondsLeft(const ProgressState& state) {
  if (state.done <= 0 || state.elapsed_s <= 0) return -1;
  const auto left = static_cast<double>(std::max<long long>(state.total - state.done, 0));
  return state.elapsed_s / static_cast<double>(state.done) * left;
}

std::string ProgressLine(const ProgressState& state, std::size_t columns) {
  std::string line = state.stage;
  if (state.levels > 0) line += fmt::format(" ({} of {})", state.level, state.levels);
  line += fmt::format("  {} {}/{}", Bar(state.done, state.total), state.done, state.total);
  if (state.tokens_per_s > 0) line += fmt::format("  {} tokens/s", Figure(state.tokens_per_s));
  if (state.ttft_p50_ms > 0) line += fmt::format("  TTFT p50 {}", DurationText(state.ttft_p50_ms));
  if (state.failed > 0) line += fmt::format("  {} failed", state.failed);
  const double left = SecondsLeft(state);
  if (left >= 0) line += fmt::format("  {} left", DurationText(left * 1000));
  return CutToColumns(std::move(line), columns);
}

}  // namespace penstock::bench
