#include "app/top_view.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

namespace penstock::app {

namespace {

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

struct Cell {
  std::string text;
  std::string_view colour = {};
};

// Three digits tell enough; a dot where nothing happens, so that what happens stands out.
std::string Short(double value) {
  if (value < 0) return "-";
  if (value < 0.05) return "·";
  if (value < 9.95) return fmt::format("{:.1f}", value);
  if (value < 9999.5) return fmt::format("{:.0f}", value);
  if (value < 99'950) return fmt::format("{:.1f}k", value / 1000);
  if (value < 9'999'500) return fmt::format("{:.0f}k", value / 1000);
  return fmt::format("{:.1f}M", value / 1e6);
}

std::string Count(double value) { return value == 0 ? "·" : fmt::format("{:.0f}", value); }

std::string Percent(double share) { return share < 0 ? "-" : fmt::format("{:.0f}%", share * 100); }

std::string Ms(double ms) {
  if (ms < 0) return "-";
  if (ms < 9.95) return fmt::format("{:.1f}", ms);
  if (ms < 9999.5) return fmt::format("{:.0f}", ms);
  return fmt::format("{:.1f}s", ms / 1000);
}

// Ten steps from empty to full.
std::string Bar(double share) {
  static constexpr std::array<const char*, 9> kEighths = {" ", "▏", "▎", "▍", "▌",
                                                          "▋", "▊", "▉", "█"};
  constexpr int kCells = 6;
  if (share < 0) return std::string(kCells, ' ');
  const int eighths = static_cast<int>(std::clamp(share, 0.0, 1.0) * kCells * 8 + 0.5);
  std::string bar;
  for (int i = 0; i < kCells; ++i) {
    bar += kEighths[static_cast<std::size_t>(std::clamp(eighths - i * 8, 0, 8))];
  }
  return bar;
}

constexpr std::array<std::string_view, 14> kTitles = {
    "ENDPOINT", "REQ/S",  "IN/S", "CACHED", "OUT/S", "UTIL",  "",
    "TTFT50",   "TTFT95", "TPOT", "RUN",    "QUEUE", "429/S", "REPL"};
// Which columns go first where the screen is narrow.
constexpr std::array<std::size_t, 6> kDropOrder = {6, 3, 8, 2, 10, 9};

std::vector<Cell> CellsOf(const TopRow& row) {
  const bool full = row.utilisation >= 1;
  const bool near = row.utilisation >= 0.85;
  const bool down = row.replicas_ready < row.replicas_all || row.replicas_all == 0;
  std::string refused = Short(row.refused_per_s);
  if (row.failed_per_s >= 0.05) refused += fmt::format("+{}", Short(row.failed_per_s));
  return {{row.endpoint, row.failed_per_s >= 0.05 ? kRed : std::string_view()},
          {Short(row.requests_per_s)},
          {Short(row.input_per_s)},
          {Percent(row.cached_share)},
          {Short(row.output_per_s)},
          {Percent(row.utilisation), full   ? kRed
                                     : near ? kYellow
                                            : std::string_view()},
          {Bar(row.utilisation), full   ? kRed
                                 : near ? kYellow
                                        : std::string_view()},
          {Ms(row.ttft_p50_ms)},
          {Ms(row.ttft_p95_ms)},
          {Ms(row.tpot_p50_ms)},
          {Count(row.running)},
          {Count(row.queued), row.queued > 0 ? kYellow : std::string_view()},
          {refused, row.refused_per_s + row.failed_per_s >= 0.05 ? kRed : std::string_view()},
          {fmt::format("{:.0f}/{:.0f}", row.replicas_ready, row.replicas_all),
           down ? kRed : std::string_view()}};
}

std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// At most `width` characters, the last a dot dot dot where some are missing.
std::string Fit(std::string_view text, std::size_t width) {
  if (WidthOf(text) <= width) return std::string(text);
  std::string cut;
  std::size_t characters = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    if (begins && ++characters >= width) break;
    cut += c;
  }
  return width == 0 ? "" : cut + "…";
}

// The table of rows, as narrow as the frame.
class Table {
 public:
  Table(const TopFrame& frame, const std::vector<TopRow>& rows) : frame_(frame) {
    for (const TopRow& row : rows) cells_.push_back(CellsOf(row));
    shown_.fill(true);
    for (std::size_t i = 0; i < kTitles.size(); ++i) {
      widths_[i] = WidthOf(kTitles[i]);
      for (const auto& row : cells_) widths_[i] = std::max(widths_[i], WidthOf(row[i].text));
    }
    for (const std::size_t column : kDropOrder) {
      if (Total() <= frame.width) break;
      shown_[column] = false;
    }
    if (const std::size_t total = Total(); total > frame.width) {
      const std::size_t over = total - frame.width;
      widths_[0] = widths_[0] > over + 8 ? widths_[0] - over : std::min<std::size_t>(widths_[0], 8);
    }
  }

  std::string Head() const {
    std::vector<Cell> cells;
    for (const std::string_view title : kTitles) cells.push_back({std::string(title), kBold});
    return Line(cells);
  }
  std::string Row(std::size_t i) const { return Line(cells_[i]); }
  std::size_t size() const { return cells_.size(); }

 private:
  std::size_t Total() const {
    std::size_t total = 0;
    for (std::size_t i = 0; i < kTitles.size(); ++i) total += shown_[i] ? widths_[i] + 2 : 0;
    return total - 2;
  }

  std::string Line(const std::vector<Cell>& cells) const {
    std::string line;
    std::size_t used = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (!shown_[i]) continue;
      const std::size_t before = i == 0 ? 0 : 2;
      if (used + before + widths_[i] > frame_.width) break;
      used += before + widths_[i];
      const std::string text = Fit(cells[i].text, widths_[i]);
      const std::string blanks(widths_[i] - WidthOf(text), ' ');
      line.append(before, ' ');
      if (i != 0) line += blanks;
      const bool coloured = frame_.colours && !cells[i].colour.empty();
      if (coloured) line += cells[i].colour;
      line += text;
      if (coloured) line += kPlain;
      if (i == 0) line += blanks;
    }
    return line;
  }

  const TopFrame& frame_;
  std::vector<std::vector<Cell>> cells_;
  std::array<std::size_t, kTitles.size()> widths_{};
  std::array<bool, kTitles.size()> shown_{};
};

}  // namespace

std::string RenderScreen(const TopFrame& frame, const TopReading& reading,
                         const std::vector<TopRow>& rows) {
  double requests = 0;
  double tokens = 0;
  for (const TopRow& row : rows) {
    requests += row.requests_per_s;
    tokens += row.input_per_s + row.output_per_s;
  }
  std::vector<std::string> lines;
  const auto paint = [&frame](std::string_view colour, const std::string& text) {
    const std::string fitted = Fit(text, frame.width);
    return frame.colours ? fmt::format("{}{}{}", colour, fitted, kPlain) : fitted;
  };
  lines.push_back(paint(kBold, fmt::format("penstock  {}  {}", frame.server, frame.time)));
  lines.push_back(
      frame.problem.empty()
          ? Fit(fmt::format("{} endpoint{}  {} requests/s  {} tokens/s  {:.0f} connections",
                            rows.size(), rows.size() == 1 ? "" : "s", Short(requests),
                            Short(tokens), reading.connections),
                frame.width)
          : paint(kRed, frame.problem));
  // A line of its own, for it stays until the server is started again.
  lines.push_back(reading.lost_records > 0
                      ? paint(kRed, fmt::format("{:.0f} usage records lost: the disk took no more",
                                                reading.lost_records))
                      : std::string());
  const Table table(frame, rows);
  lines.push_back(rows.empty() ? Fit("No endpoints yet.", frame.width) : table.Head());
  const std::size_t last = frame.height > 1 ? frame.height - 1 : 0;  // The foot's line.
  for (std::size_t i = 0; i < table.size(); ++i) {
    const bool no_room = lines.size() + 1 >= last && i + 1 < table.size();
    if (no_room) {
      lines.push_back(paint(kDim, fmt::format("… {} more endpoints", table.size() - i)));
      break;
    }
    lines.push_back(table.Row(i));
  }
  while (lines.size() < last) lines.emplace_back();
  lines.resize(last);
  lines.push_back(paint(
      kDim, "q quit   order: n name  t tokens  u utilisation  e errors   latency in ms, 60 s"));
  std::string screen;
  for (const std::string& line : lines) screen += line + "\n";
  return screen;
}

std::string RenderLines(const TopFrame& frame, const std::vector<TopRow>& rows) {
  std::string text;
  if (!frame.problem.empty()) return fmt::format("{} problem=\"{}\"\n", frame.time, frame.problem);
  for (const TopRow& row : rows) {
    fmt::format_to(
        std::back_inserter(text),
        "{} endpoint={} requests_per_s={:.2f} input_tokens_per_s={:.1f} output_tokens_per_s={:.1f} "
        "utilisation={} ttft_p50_ms={} ttft_p95_ms={} tpot_p50_ms={} running={:.0f} queued={:.0f} "
        "refused_per_s={:.2f} failed_per_s={:.2f} replicas={:.0f}/{:.0f}\n",
        frame.time, row.endpoint, row.requests_per_s, row.input_per_s, row.output_per_s,
        Percent(row.utilisation), Ms(row.ttft_p50_ms), Ms(row.ttft_p95_ms), Ms(row.tpot_p50_ms),
        row.running, row.queued, row.refused_per_s, row.failed_per_s, row.replicas_ready,
        row.replicas_all);
  }
  return text;
}

}  // namespace penstock::app
