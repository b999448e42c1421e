#include "plan/usage_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "plan/usage_fields.h"
#include "trace/csv.h"

namespace penstock::plan {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;
// Progress is told, and the share of bad rows judged, once in so many rows.
constexpr std::int64_t kRowsPerLook = 1 << 16;

// What a terminal can show of a file that may be anything.
std::string Printable(std::string_view text) {
  constexpr std::size_t kShownMax = 200;
  std::string shown(text.substr(0, kShownMax));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text.size() > kShownMax ? shown + "…" : shown;
}

// Takes the lines of one file, one after another, whichever way they came in.
class LineTaker {
 public:
  LineTaker(const UsageColumns& columns, UsageHistory& history)
      : columns_(columns), history_(history), json_(columns) {}

  // `line` without its end, with kJsonPadding readable bytes behind it.
  Status Take(std::string_view line);
  Status Finish() const;

 private:
  Status TakeHeader(std::string_view line);
  std::string ReadCells(std::string_view line, UsageRow& row);
  std::string AddRow(const UsageRow& row);
  Status TooMuch() const;
  UsageSeries* SeriesOf(std::string_view key);

  const UsageColumns& columns_;
  UsageHistory& history_;
  JsonRows json_;
  std::vector<std::optional<UsageField>> places_;  // Of a CSV's columns.
  std::vector<std::string> cells_;                 // Reused: of a row with quotes.
  bool is_json_ = false;
  bool began_ = false;
  bool full_ = false;  // The row's minute would be one too many.
  std::int64_t line_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t bad_ = 0;
  std::string recent_key_;
  UsageSeries* recent_ = nullptr;  // Into history_.
};

Status LineTaker::TakeHeader(std::string_view line) {
  std::string text(line);
  trace::CsvRows rows(text);
  if (!rows.Next(cells_)) return {};
  for (const std::string& cell : cells_) places_.push_back(FieldOf(cell, columns_));
  for (const UsageField needed : {UsageField::kTime, UsageField::kInput, UsageField::kOutput}) {
    const bool there = std::ranges::any_of(
        places_, [&](const auto& place) { return place && Name(*place) == Name(needed); });
    if (!there) {
      return Fail(Code::kCorrupt,
                  fmt::format("row {}: no column for {}; there are: {}. Name it: --columns {}=NAME",
                              line_, Name(needed),
                              Printable(fmt::format("{}", fmt::join(cells_, ", "))), Name(needed)),
                  std::string(Name(needed)));
    }
  }
  return {};
}

std::string LineTaker::ReadCells(std::string_view line, UsageRow& row) {
  const auto set = [&](std::size_t place, std::string_view text) -> std::string {
    if (place >= places_.size() || !places_[place]) return {};
    if (SetField(*places_[place], text, columns_, row)) return {};
    return fmt::format("column {} ({}): '{}' cannot be read", place + 1, Name(*places_[place]),
                       text.substr(0, 40));
  };
  if (line.find('"') != std::string_view::npos) {
    trace::CsvRows rows(line);
    if (!rows.Next(cells_)) return "is empty";
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (std::string wrong = set(i, cells_[i]); !wrong.empty()) return wrong;
    }
    return {};
  }
  for (std::size_t place = 0;; ++place) {
    const std::size_t comma = line.find(',');
    if (std::string wrong = set(place, line.substr(0, comma)); !wrong.empty()) return wrong;
    if (comma == std::string_view::npos) return {};
    line.remove_prefix(comma + 1);
  }
}

UsageSeries* LineTaker::SeriesOf(std::string_view key) {
  if (recent_ != nullptr && key == recent_key_) return recent_;
  recent_key_ = key;
  const auto found = history_.series.find(recent_key_);
  if (found == history_.series.end() && history_.series.size() >= kUsageKeysMax) return nullptr;
  recent_ = &history_.series[recent_key_];
  return recent_;
}

std::string LineTaker::AddRow(const UsageRow& row) {
  if (!row.at_s) return "has no time";
  if (!row.input && !row.output) return "has no token counts";
  const policy::TokenCounts tokens{
      .input = row.input.value_or(0), .cached = row.cached, .output = row.output.value_or(0)};
  if (tokens.cached > tokens.input) {
    return fmt::format("has {} cached tokens of {} input tokens", tokens.cached, tokens.input);
  }
  if (row.key.size() > kUsageKeyBytesMax) {
    return fmt::format("has a key of {} bytes, more than {}", row.key.size(), kUsageKeyBytesMax);
  }
  UsageSeries* const series = SeriesOf(row.key);
  if (series == nullptr) return fmt::format("is of another key after {} of them", kUsageKeysMax);
  const bool milliseconds = row.in_milliseconds && row.time_is_bare;
  const std::int64_t at_s = milliseconds ? *row.at_s / 1000 : *row.at_s;
  full_ = history_.quarters >= history_.quarters_max && !series->Keeps(at_s);
  if (full_) return {};
  const std::size_t before = series->quarters();
  series->Add(at_s, tokens);
  history_.quarters += series->quarters() - before;
  return {};
}

Status LineTaker::TooMuch() const {
  return Fail(
      Code::kTooLarge,
      fmt::format("row {}: with it requests fill more than {} quarters of an hour, those of "
                  "{} keys together: is the times' unit right? Else size fewer endpoints, "
                  "or a shorter time, at once",
                  line_, history_.quarters_max, history_.series.size()),
      "usage");
}

Status LineTaker::Take(std::string_view line) {
  ++line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return {};
  if (!began_) {
    began_ = true;
    is_json_ = line.front() == '{';
    if (!is_json_) return TakeHeader(line);
  }
  ++rows_;
  ++history_.rows;
  UsageRow row;
  std::string wrong = is_json_ ? json_.Read(line, row) : ReadCells(line, row);
  if (wrong.empty()) wrong = AddRow(row);
  if (full_) return TooMuch();
  if (wrong.empty()) return {};
  ++bad_;
  ++history_.bad_rows;
  if (history_.first_bad.empty()) history_.first_bad = fmt::format("row {} {}", line_, wrong);
  return rows_ % kRowsPerLook == 0 ? Finish() : Status();
}

Status LineTaker::Finish() const {
  if (static_cast<double>(bad_) <= kBadRowShareMax * static_cast<double>(rows_)) return {};
  return Fail(Code::kCorrupt,
              fmt::format("{} of {} rows cannot be read, more than {:.0f} %; the first: {}", bad_,
                          rows_, kBadRowShareMax * 100, history_.first_bad));
}

// Nanoseconds of "s", "ms", "us" or "ns"; 0 for anything else.
std::int64_t UnitOf(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kUnits = {
      {{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}}};
  for (const auto& [unit, nanoseconds] : kUnits) {
    if (unit == name) return nanoseconds;
  }
  return 0;
}

// "+02:00" in seconds east of Greenwich.
bool ParseZone(std::string_view text, std::int64_t& seconds) {
  if (text == "Z" || text == "UTC") return true;
  int hours = 0;
  int minutes = 0;
  const auto two = [](std::string_view digits, int& value) {
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return digits.size() == 2 && read.ptr == digits.data() + 2;
  };
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
      !two(text.substr(1, 2), hours) || !two(text.substr(4, 2), minutes)) {
    return false;
  }
  if (hours > 14 || minutes > 59) return false;
  seconds = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Status TooLong(std::int64_t rows) {
  return Fail(Code::kTooLarge, fmt::format("the row after row {} is longer than {} bytes", rows,
                                           kUsageLineBytesMax));
}

// Hands the lines of `file` to `taker`, which sees each with spare bytes behind it.
Status TakeLines(std::FILE* file, double size, const UsageProgress& progress,
                 const UsageHistory& history, LineTaker& taker) {
  std::vector<char> buffer(kReadBytes * 2);
  std::size_t held = 0;
  double done = 0;
  std::int64_t looked = 0;
  for (;;) {
    if (buffer.size() - held < kReadBytes + kJsonPadding) buffer.resize(buffer.size() * 2);
    const std::size_t got = std::fread(buffer.data() + held, 1, kReadBytes, file);
    held += got;
    done += static_cast<double>(got);
    std::size_t begin = 0;
    while (begin < held) {
      const void* const found = std::memchr(buffer.data() + begin, '\n', held - begin);
      if (found == nullptr && got != 0) break;
      const std::size_t end =
          found == nullptr
              ? held
              : static_cast<std::size_t>(static_cast<const char*>(found) - buffer.data());
      if (auto taken = taker.Take({buffer.data() + begin, end - begin}); !taken) return taken;
      begin = std::min(end + 1, held);
    }
    if (got == 0) return taker.Finish();
    held -= begin;
    std::memmove(buffer.data(), buffer.data() + begin, held);
    if (held > kUsageLineBytesMax) return TooLong(history.rows);
    if (progress && size > 0 && history.rows - looked >= kRowsPerLook) {
      looked = history.rows;
      progress(done / size);
    }
  }
}

}  // namespace

Result<UsageColumns> UsageColumns::Parse(std::string_view text) {
  UsageColumns columns;
  while (!text.empty()) {
    const std::string part(text.substr(0, text.find(',')));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    const std::string name = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    std::int64_t zone = 0;
    if (value.empty()) {
      return Fail(Code::kInvalidArgument, fmt::format("--columns: '{}' is not NAME=VALUE", part),
                  "columns");
    }
    if (name == "time")
      columns.time = value;
    else if (name == "input")
      columns.input = value;
    else if (name == "output")
      columns.output = value;
    else if (name == "cached")
      columns.cached = value;
    else if (name == "key")
      columns.key = value;
    else if (name == "unit" && UnitOf(value) > 0)
      columns.time_unit_ns = UnitOf(value);
    else if (name == "zone" && ParseZone(value, zone))
      columns.zone_offset_s = zone;
    else {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("'{}' is none of time=, input=, output=, cached=, key= with a column's "
                      "name, unit= with s, ms, us or ns, zone= with ±hh:mm",
                      part),
          "columns");
    }
  }
  return columns;
}

Status ReadUsage(const std::string& path, const UsageColumns& columns,
                 const UsageProgress& progress, UsageHistory& history) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    return Fail(Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno)), "usage");
  }
  struct stat found{};
  const bool sized = ::fstat(::fileno(file.get()), &found) == 0;
  if (sized && S_ISDIR(found.st_mode)) {
    return Fail(Code::kInvalidArgument, path + ": is a folder; name a file", "usage");
  }
  LineTaker taker(columns, history);
  auto read = TakeLines(file.get(), sized ? static_cast<double>(found.st_size) : 0, progress,
                        history, taker);
  if (!read) return Fail(read.error().code, path + ": " + read.error().message, read.error().field);
  return {};
}

Status ReadUsageText(std::string_view text, const UsageColumns& columns, UsageHistory& history) {
  LineTaker taker(columns, history);
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    line.assign(text.substr(0, end));
    line.resize(end + kJsonPadding);
    if (auto taken = taker.Take({line.data(), end}); !taken) return taken;
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return taker.Finish();
}

}  // namespace penstock::plan
