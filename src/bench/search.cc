#include "bench/search.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace penstock::bench {
namespace {

// Neighbours closer than this around the knee tell nothing new.
constexpr double kKneeGap = 1.2;

double Power(const ProbeOutcome& probe) {
  return probe.latency_p50_ms > 0 ? probe.output_tokens_per_s / probe.latency_p50_ms : 0;
}

}  // namespace

std::string_view Describe(SearchEnd end) {
  switch (end) {
    case SearchEnd::kNotEnded:
      return "the search was interrupted";
    case SearchEnd::kFound:
      return "the most that holds the budget was found";
    case SearchEnd::kNeverBroken:
      return "the budget held up to the limit of the load";
    case SearchEnd::kSaturated:
      return "the budget held until more load gave no more throughput";
    case SearchEnd::kCannotBeMet:
      return "the budget cannot be met at the least load";
    case SearchEnd::kProbesMax:
      return "the limit of probes was reached";
  }
  return "";
}

Search::Search(SearchLimits limits) : limits_(limits), next_(limits.start) {
  CHECK(limits.least > 0 && limits.least <= limits.start && limits.start <= limits.most,
        "a search starts within its limits");
}

bool Search::Probed(double load) const {
  return std::ranges::any_of(probes_, [load](const auto& probe) { return probe.load == load; });
}

std::optional<double> Search::BetweenOf(double low, double high) const {
  // Halfway by ratio where the ends lie far apart: half of 1 and 100 is nearer 10 than 50.
  double middle = high / low > 4 ? std::sqrt(low * high) : (low + high) / 2;
  if (limits_.whole) middle = std::round(middle);
  if (middle <= low || middle >= high || Probed(middle)) return std::nullopt;
  return middle;
}

void Search::Observe(const ProbeOutcome& outcome) {
  probes_.insert(std::ranges::upper_bound(probes_, outcome.load, {}, &ProbeOutcome::load), outcome);
  if (end_ != SearchEnd::kNotEnded) return Refine();
  if (outcome.passes) {
    // A later pass above an earlier break: the break is believed, so that the answer is safe.
    if (!broken_ || outcome.load < *broken_) held_ = std::max(held_.value_or(0), outcome.load);
    saturated_ = outcome.output_tokens_per_s < best_output_tokens_per_s_ * (1 + limits_.gain_min);
  } else {
    broken_ = std::min(broken_.value_or(HUGE_VAL), outcome.load);
    if (held_ && *held_ >= *broken_) held_.reset();
  }
  best_output_tokens_per_s_ = std::max(best_output_tokens_per_s_, outcome.output_tokens_per_s);
  Bracket();
}

void Search::Bracket() {
  if (std::ssize(probes_) >= limits_.probes_max) return End(SearchEnd::kProbesMax);
  if (!broken_) {
    if (saturated_) return End(SearchEnd::kSaturated);
    if (*held_ >= limits_.most) return End(SearchEnd::kNeverBroken);
    next_ = std::min(*held_ * 2, limits_.most);
    return;
  }
  if (!held_) {
    if (*broken_ <= limits_.least) return End(SearchEnd::kCannotBeMet);
    double lower = std::max(*broken_ / 2, limits_.least);
    if (limits_.whole) lower = std::max(std::floor(lower), limits_.least);
    next_ = lower;
    return;
  }
  const bool narrow = *broken_ - *held_ <= limits_.tolerance * *held_;
  const auto middle = narrow ? std::nullopt : BetweenOf(*held_, *broken_);
  if (!middle) return End(SearchEnd::kFound);
  next_ = middle;
}

void Search::End(SearchEnd end) {
  end_ = end;
  if (end == SearchEnd::kCannotBeMet || end == SearchEnd::kProbesMax) {
    next_.reset();
  } else {
    Refine();
  }
}

void Search::Refine() {
  next_.reset();
  if (knee_probes_++ >= limits_.knee_probes_max) return;
  if (std::ssize(probes_) >= limits_.probes_max) return;
  const auto knee = std::ranges::max_element(probes_, {}, Power);
  if (knee == probes_.end() || Power(*knee) <= 0) return;
  double widest = kKneeGap;
  const auto consider = [&](double low, double high) {
    const auto middle = BetweenOf(low, high);
    if (!middle || high / low < widest) return;
    widest = high / low;
    next_ = middle;
  };
  if (knee != probes_.begin()) consider(std::prev(knee)->load, knee->load);
  if (std::next(knee) != probes_.end()) consider(knee->load, std::next(knee)->load);
}

}  // namespace penstock::bench
