#include "bench/workload/lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/distributions.h"
#include "base/file.h"
#include "base/portable_math.h"
#include "trace/csv.h"
#include "trace/trace.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kTableBytesMax = std::size_t{64} << 20;

std::optional<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

// "512,128" or "100-300".
std::optional<std::pair<double, double>> PairOf(std::string_view text, char between) {
  const auto at = text.find(between);
  if (at == std::string_view::npos) return std::nullopt;
  const auto first = NumberOf(text.substr(0, at));
  const auto second = NumberOf(text.substr(at + 1));
  if (!first || !second) return std::nullopt;
  return std::pair(*first, *second);
}

int Bounded(double tokens) {
  return static_cast<int>(std::clamp(std::round(tokens), 1.0, double{Lengths::kMost}));
}

}  // namespace

Lengths Lengths::Fixed(int tokens) {
  Lengths lengths;
  lengths.first_ = tokens;
  lengths.text_ = fmt::format("{}", tokens);
  return lengths;
}

Result<Lengths> Lengths::Parse(std::string_view text, std::string_view flag) {
  const auto wrong = [&](std::string_view wanted) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is '{}', it must be {}", flag, text, wanted), std::string(flag));
  };
  const auto colon = text.find(':');
  const std::string_view word = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  Lengths lengths;
  if (colon == std::string_view::npos) {
    const auto number = NumberOf(text);
    if (!number || *number < 1 || *number > kMost || *number != std::floor(*number)) {
      return wrong(
          fmt::format("a whole number from 1 to {}, or uniform:A-B, normal:MEAN,DEVIATION, "
                      "lognormal:MEDIAN,SIGMA, file:PATH",
                      kMost));
    }
    lengths.first_ = *number;
  } else if (word == "file") {
    const auto content = ReadSmallFile(std::string(rest), kTableBytesMax);
    if (!content) return Fail(content.error());
    auto table = FromTable(*content);
    if (!table) {
      Error error = table.error();
      error.message = fmt::format("{} {}: {}", flag, rest, error.message);
      return Fail(std::move(error));
    }
    lengths = std::move(*table);
  } else if (const auto pair = PairOf(rest, word == "uniform" ? '-' : ',');
             pair && word == "uniform" && pair->first >= 1 && pair->second >= pair->first &&
             pair->second <= kMost) {
    lengths.kind_ = Kind::kUniform;
    lengths.first_ = std::floor(pair->first);
    lengths.second_ = std::floor(pair->second);
  } else if (pair && word == "normal" && pair->first >= 1 && pair->first <= kMost) {
    lengths.kind_ = Kind::kNormal;
    lengths.first_ = pair->first;
    lengths.second_ = pair->second;
  } else if (pair && word == "lognormal" && pair->first >= 1 && pair->first <= kMost &&
             pair->second <= 5) {
    lengths.kind_ = Kind::kLogNormal;
    lengths.first_ = pair->first;
    lengths.second_ = pair->second;
  } else {
    return wrong(
        "uniform:A-B with 1 ≤ A ≤ B, normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA with "
        "SIGMA ≤ 5, or file:PATH");
  }
  lengths.text_ = text;
  return lengths;
}

Result<Lengths> Lengths::FromTable(std::string_view text) {
  trace::CsvRows rows(text);
  std::vector<std::string> cells;
  Lengths lengths;
  lengths.kind_ = Kind::kTable;
  double sum = 0;
  while (rows.Next(cells)) {
    const auto length = NumberOf(cells[0]);
    if (!length || *length < 1 || *length > kMost) {
      if (rows.row() == 1 && !length) continue;  // A header.
      return trace::FailAt(rows.row(), "length",
                           fmt::format("'{}' is not a number of tokens from 1 to {}",
                                       cells[0].substr(0, 60), kMost));
    }
    const auto weight = cells.size() > 1 ? NumberOf(cells[1]) : std::optional<double>(1.0);
    if (!weight) {
      return trace::FailAt(rows.row(), "weight",
                           fmt::format("'{}' is not a number from 0 on", cells[1].substr(0, 60)));
    }
    if (*weight <= 0) continue;
    sum += *weight;
    lengths.table_.emplace_back(sum, Bounded(*length));
  }
  if (lengths.table_.empty() || !std::isfinite(sum)) {
    return Fail(Code::kCorrupt, "there is no length in it");
  }
  lengths.text_ = "file";
  return lengths;
}

int Lengths::Draw(Random& random) const {
  switch (kind_) {
    case Kind::kFixed:
      return static_cast<int>(first_);
    case Kind::kUniform:
      return static_cast<int>(first_) +
             static_cast<int>(random.Below(static_cast<std::uint64_t>(second_ - first_) + 1));
    case Kind::kNormal:
      return Bounded(first_ + second_ * DrawNormal(random));
    case Kind::kLogNormal:
      return Bounded(first_ * PortableExp(second_ * DrawNormal(random)));
    case Kind::kTable:
      break;
  }
  const double at = random.Uniform() * table_.back().first;
  const auto found = std::ranges::upper_bound(table_, at, {}, &std::pair<double, int>::first);
  return found == table_.end() ? table_.back().second : found->second;
}

double Lengths::mean() const {
  switch (kind_) {
    case Kind::kFixed:
    case Kind::kNormal:
      return first_;
    case Kind::kUniform:
      return (first_ + second_) / 2;
    case Kind::kLogNormal:
      return first_ * PortableExp(second_ * second_ / 2);
    case Kind::kTable:
      break;
  }
  double weighted = 0;
  double before = 0;
  for (const auto& [sum, length] : table_) {
    weighted += (sum - before) * length;
    before = sum;
  }
  return weighted / before;
}

int Lengths::median() const {
  if (kind_ == Kind::kUniform) return Bounded((first_ + second_) / 2);
  if (kind_ != Kind::kTable) return Bounded(first_);
  auto sorted = table_;
  double before = 0;
  for (auto& [sum, length] : sorted) {
    const double weight = sum - before;
    before = sum;
    sum = weight;
  }
  std::ranges::sort(sorted, {}, &std::pair<double, int>::second);
  double passed = 0;
  for (const auto& [weight, length] : sorted) {
    passed += weight;
    if (passed * 2 >= before) return length;
  }
  return sorted.back().second;
}

}  // namespace penstock::bench
