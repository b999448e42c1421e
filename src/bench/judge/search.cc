#include "bench/judge/search.h"

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
    case SearchEnd::kTimeMax:
      return "the search's time was up";
  }
  return "";
}

Search::Search(SearchLimits limits) : limits_(limits) {
  CHECK(limits.least > 0 && limits.least <= limits.start && limits.start <= limits.most,
        "a search starts within its limits");
  CHECK(limits.growth > 1, "a search grows");
  Scout(limits.start);
}

std::vector<ProbeOutcome> Search::probes() const {
  std::map<double, ProbeOutcome> all = judged_;
  all.insert(scouted_.begin(), scouted_.end());
  std::vector<ProbeOutcome> probes;
  for (const auto& [load, probe] : all) probes.push_back(probe);
  return probes;
}

double Search::LatencyBelow(double load) const {
  double latency = 0;
  for (const ProbeOutcome& probe : probes()) {
    if (probe.load < load && probe.latency_p50_ms > 0) latency = probe.latency_p50_ms;
  }
  return latency;
}

std::optional<double> Search::BetweenOf(double low, double high) const {
  // Halfway by ratio where the ends lie far apart: half of 1 and 100 is nearer 10 than 50.
  double middle = high / low > 4 ? std::sqrt(low * high) : (low + high) / 2;
  if (limits_.whole) middle = std::round(middle);
  if (middle <= low || middle >= high) return std::nullopt;
  return middle;
}

void Search::Observe(const ProbeOutcome& outcome) {
  (outcome.scout ? scouted_ : judged_)[outcome.load] = outcome;
  ++count_;
  if (end_ != SearchEnd::kNotEnded) return Refine();
  FindBracket();
  Decide();
}

void Search::FindBracket() {
  held_.reset();
  broken_.reset();
  low_.reset();
  high_.reset();
  for (const auto& [load, probe] : judged_) {
    if (!probe.passes && !broken_) broken_ = load;
    // A pass above a break: the break is believed, so that the answer is safe.
    if (probe.passes && !broken_) held_ = load;
  }
  high_ = broken_;
  for (const auto& [load, probe] : scouted_) {
    if (!probe.passes && load > held_.value_or(0)) high_ = std::min(high_.value_or(HUGE_VAL), load);
  }
  low_ = held_;
  for (const auto& [load, probe] : scouted_) {
    if (probe.passes && load < high_.value_or(HUGE_VAL)) low_ = std::max(low_.value_or(0), load);
  }
}

bool Search::Saturated() const {
  const std::vector<ProbeOutcome> all = probes();
  // Loads near each other give nearly the same, saturated or not.
  const double below = all.back().load / std::sqrt(limits_.growth);
  double best = 0;
  for (const ProbeOutcome& probe : all) {
    if (probe.load <= below) best = std::max(best, probe.output_tokens_per_s);
  }
  return all.back().output_tokens_per_s < best * (1 + limits_.gain_min);
}

void Search::Decide() {
  next_.reset();
  if (count_ >= limits_.probes_max) return End(SearchEnd::kProbesMax);
  if (!high_) return Grow(*low_);
  if (low_) return DecideWithin(*low_, *high_);
  if (*high_ > limits_.least) {
    double lower = std::max(*high_ / limits_.growth, limits_.least);
    if (limits_.whole) lower = std::max(std::floor(lower), limits_.least);
    return Scout(lower);
  }
  if (broken_ == high_) return End(SearchEnd::kCannotBeMet);
  JudgeAt(*high_);
}

// Nothing has broken it yet.
void Search::Grow(double low) {
  const bool saturated = Saturated();
  if (!saturated && low < limits_.most) {
    const double more = std::min(low * limits_.growth, limits_.most);
    return Scout(limits_.whole ? std::max(std::floor(more), low + 1) : more);
  }
  if (held_ != low) return JudgeAt(low);
  End(saturated && low < limits_.most ? SearchEnd::kSaturated : SearchEnd::kNeverBroken);
}

void Search::DecideWithin(double low, double high) {
  const bool narrow = high - low <= limits_.tolerance * low;
  if (const auto middle = narrow ? std::nullopt : BetweenOf(low, high)) return JudgeAt(*middle);
  if (held_ != low) return JudgeAt(low);
  if (broken_ != high) return JudgeAt(high);
  End(SearchEnd::kFound);
}

void Search::EndNow() {
  if (end_ == SearchEnd::kNotEnded) end_ = SearchEnd::kTimeMax;
  next_.reset();
}

void Search::End(SearchEnd end) {
  end_ = end;
  if (end == SearchEnd::kCannotBeMet || end == SearchEnd::kProbesMax) {
    next_.reset();
  } else {
    Refine();
  }
}

// The scouted load below the one found that gave the most, if more than any that was judged.
std::optional<double> Search::BetterBelow() const {
  double most = 0;
  for (const auto& [load, probe] : judged_) {
    if (probe.passes && load <= held_.value_or(0)) most = std::max(most, probe.output_tokens_per_s);
  }
  most *= 1 + limits_.gain_min;
  std::optional<double> better;
  for (const auto& [load, probe] : scouted_) {
    const bool open = probe.passes && load < held_.value_or(0) && !judged_.contains(load);
    if (!open || probe.output_tokens_per_s <= most) continue;
    most = probe.output_tokens_per_s;
    better = load;
  }
  return better;
}

void Search::Refine() {
  next_.reset();
  if (count_ >= limits_.probes_max) return;
  if (const auto better = BetterBelow()) return JudgeAt(*better);
  if (knee_probes_++ >= limits_.knee_probes_max || count_ >= limits_.probes_max) return;
  const std::vector<ProbeOutcome> all = probes();
  const auto knee = std::ranges::max_element(all, {}, Power);
  if (knee == all.end() || Power(*knee) <= 0) return;
  double widest = kKneeGap;
  const auto consider = [&](double low, double high) {
    const auto middle = BetweenOf(low, high);
    if (!middle || high / low < widest) return;
    widest = high / low;
    Scout(*middle);
  };
  if (knee != all.begin()) consider(std::prev(knee)->load, knee->load);
  if (std::next(knee) != all.end()) consider(knee->load, std::next(knee)->load);
}

}  // namespace penstock::bench
