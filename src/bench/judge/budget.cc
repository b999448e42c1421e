#include "bench/judge/budget.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace penstock::bench {
namespace {

constexpr std::size_t kTermsMax = 16;
// A stricter percentile would need more than 66,000 requests to be believed.
constexpr double kShareMinPercent = 0.01;
constexpr double kBoundMaxMs = 24 * 3600 * 1000.0;
constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
    {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"min", 60e3}}};

template <typename... Values>
std::unexpected<Error> Wrong(fmt::format_string<Values...> format, Values&&... values) {
  return Fail(Code::kInvalidArgument,
              "budget: " + fmt::format(format, std::forward<Values>(values)...), "budget");
}

std::string WithoutBlanks(std::string_view text) {
  std::string out;
  std::ranges::copy_if(text, std::back_inserter(out),
                       [](char c) { return std::isspace(static_cast<unsigned char>(c)) == 0; });
  return out;
}

// A number and what follows it; none where `text` does not begin with a digit.
std::optional<std::pair<double, std::string_view>> NumberAndRest(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) == 0) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  return std::pair{value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

Result<BudgetTerm> ParseErrors(std::string_view text, std::string_view bound) {
  const auto share = NumberAndRest(bound);
  if (!share || share->second != "%" || share->first < kShareMinPercent || share->first >= 100) {
    return Wrong("\"{}\": the bound of errors is a share from 0.01% to below 100%, as errors<1%",
                 text);
  }
  return BudgetTerm{.kind = BudgetTerm::Kind::kErrors,
                    .quantile = 1 - share->first / 100,
                    .text = std::string(text)};
}

std::string MetricNames() {
  std::string names;
  for (int metric = 0; metric < kMetrics; ++metric) {
    names += Name(static_cast<Metric>(metric));
    names += ", ";
  }
  return names + "errors";
}

Result<BudgetTerm> ParseTerm(std::string_view text) {
  const std::size_t sign = text.find('<');
  if (sign == std::string_view::npos) {
    return Wrong("\"{}\" has no '<': write METRIC_pQ<BOUND, as ttft_p95<2s", text);
  }
  const std::string_view name = text.substr(0, sign);
  std::string_view bound = text.substr(sign + 1);
  if (bound.starts_with('=')) bound.remove_prefix(1);
  if (name == "errors") return ParseErrors(text, bound);

  const std::size_t cut = name.rfind("_p");
  const auto whole = MetricNamed(name);
  if (whole) {
    return Wrong("\"{}\" names no percentile: write {}_p95<{}", text, name, bound);
  }
  const auto metric = MetricNamed(name.substr(0, cut));
  if (!metric) {
    return Wrong("\"{}\": there is no metric {}; there are {}", text, name.substr(0, cut),
                 MetricNames());
  }
  const auto percent = NumberAndRest(name.substr(cut + 2));
  if (!percent || !percent->second.empty() || percent->first <= 0 ||
      percent->first > 100 - kShareMinPercent) {
    return Wrong("\"{}\": a percentile lies above p0 and not above p99.99, as {}_p95", text,
                 Name(*metric));
  }
  const auto time = NumberAndRest(bound);
  const auto unit = std::ranges::find(kUnits, time ? time->second : std::string_view(),
                                      [](const auto& entry) { return entry.first; });
  if (!time || unit == kUnits.end()) {
    return Wrong("\"{}\": the bound \"{}\" is not a number with us, ms, s or min, as 100ms", text,
                 bound);
  }
  const double bound_ms = time->first * unit->second;
  if (bound_ms <= 0 || bound_ms > kBoundMaxMs) {
    return Wrong("\"{}\": the bound must lie above 0 and not above 24 hours", text);
  }
  return BudgetTerm{.metric = *metric,
                    .quantile = percent->first / 100,
                    .bound_ms = bound_ms,
                    .text = std::string(text)};
}

}  // namespace

Result<Budget> Budget::Parse(std::string_view text) {
  const std::string all = WithoutBlanks(text);
  std::string_view rest = all;
  Budget budget;
  if (rest.empty()) return Wrong("it is empty; write METRIC_pQ<BOUND, as ttft_p95<2s");
  for (;;) {
    const std::size_t comma = rest.find(',');
    auto term = ParseTerm(rest.substr(0, comma));
    if (!term) return Fail(term.error());
    const bool again = std::ranges::any_of(budget.terms, [&term](const BudgetTerm& other) {
      return other.kind == term->kind && other.metric == term->metric &&
             (term->kind == BudgetTerm::Kind::kErrors || other.quantile == term->quantile);
    });
    if (again) return Wrong("\"{}\": this is bounded twice", term->text);
    budget.terms.push_back(std::move(*term));
    if (budget.terms.size() > kTermsMax) return Wrong("more than {} terms", kTermsMax);
    if (comma == std::string_view::npos) return budget;
    rest.remove_prefix(comma + 1);
  }
}

std::string Budget::Text() const {
  std::string text;
  for (const BudgetTerm& term : terms) {
    if (!text.empty()) text += ',';
    text += term.text;
  }
  return text;
}

bool Holds(const BudgetTerm& term, const RequestRecord& record, const RequestMetrics& metrics) {
  if (record.failed()) return false;
  if (term.kind == BudgetTerm::Kind::kErrors) return true;
  const auto value = ValueOf(metrics, term.metric);
  return !value || *value <= term.bound_ms;
}

bool Holds(const Budget& budget, const RequestRecord& record) {
  const RequestMetrics metrics = MetricsOf(record);
  return std::ranges::all_of(budget.terms,
                             [&](const BudgetTerm& term) { return Holds(term, record, metrics); });
}

}  // namespace penstock::bench
