#include "bench/drive/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "page/numbers.h"

namespace penstock::bench {

using page::DurationText;
using page::Figure;

namespace {

constexpr int kBarColumns = 20;

std::string Bar(double share) {
  const int filled = std::clamp(static_cast<int>(share * kBarColumns), 0, kBarColumns);
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
  if (state.total <= 0)
    return state.limit_s > 0 ? std::max(0.0, state.limit_s - state.elapsed_s) : -1;
  if (state.done <= 0 || state.elapsed_s <= 0) return -1;
  const auto left = static_cast<double>(std::max<long long>(state.total - state.done, 0));
  return state.elapsed_s / static_cast<double>(state.done) * left;
}

std::string ProgressLine(const ProgressState& state, std::size_t columns) {
  std::string line = state.stage;
  if (state.levels > 0) line += fmt::format(" ({} of {})", state.level, state.levels);
  const auto done = static_cast<double>(state.done);
  if (state.total > 0) {
    line += fmt::format("  {} {}/{}", Bar(done / static_cast<double>(state.total)), state.done,
                        state.total);
  } else {
    const double share = state.limit_s > 0 ? state.elapsed_s / state.limit_s : 0;
    line += fmt::format("  {} {} done", Bar(share), state.done);
  }
  if (state.tokens_per_s > 0) line += fmt::format("  {} tokens/s", Figure(state.tokens_per_s));
  if (state.ttft_p50_ms > 0) line += fmt::format("  TTFT p50 {}", DurationText(state.ttft_p50_ms));
  if (state.failed > 0) line += fmt::format("  {} failed", state.failed);
  const double left = SecondsLeft(state);
  if (left > 0) line += fmt::format("  {} left", DurationText(left * 1000));
  return CutToColumns(std::move(line), columns);
}

}  // namespace penstock::bench
