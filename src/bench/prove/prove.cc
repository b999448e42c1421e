#include "bench/prove/prove.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/judge/answer.h"
#include "bench/judge/verdict.h"
#include "bench/prove/digest.h"
#include "bench/record/record_json.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::Count;
using page::Counted;
using page::DurationText;
using page::Figure;
namespace {

struct Rule {
  std::string_view field;
  double value;
  double least;
  double most;
};

double Tokens(const ProofTerms& terms, const RequestRecord& record) {
  return std::max(record.input_tokens, 0) + terms.output_weight * record.OutputTokens();
}

ProofWindow WindowOf(const ProofTerms& terms, int number,
                     const std::vector<const RequestRecord*>& due) {
  ProofWindow window{.number = number, .seconds = terms.WindowSeconds()};
  double tokens = 0;
  for (const RequestRecord* record : due) {
    ++window.due;
    if (record->error == ErrorKind::kRateLimited) {
      ++window.refused;
    } else if (record->failed()) {
      ++window.failed;
    } else {
      ++window.answered;
      tokens += Tokens(terms, *record);
    }
  }
  window.delivered_tokens_per_s = tokens / window.seconds;
  window.delivered =
      window.delivered_tokens_per_s >= terms.sold_tokens_per_s * (1 - terms.shortfall_max);
  window.on_time = true;
  // In a single window the percentile seen decides: there are too few requests for more.
  const BudgetVerdict verdict = JudgeBudget(terms.budget, due, 0);
  for (std::size_t i = 0; i < terms.budget.terms.size(); ++i) {
    const BudgetTerm& term = terms.budget.terms[i];
    const double bound =
        term.kind == BudgetTerm::Kind::kErrors ? 1 - term.quantile + 1e-12 : term.bound_ms;
    window.seen.push_back(verdict.terms[i].seen);
    window.holds.push_back(verdict.terms[i].seen <= bound);
    window.on_time = window.on_time && window.holds.back();
  }
  return window;
}

std::string WindowText(const ProofTerms& terms, const ProofWindow& window) {
  std::string text =
      fmt::format("window {}: {} of {} tokens/s", window.number,
                  Figure(window.delivered_tokens_per_s), Figure(terms.sold_tokens_per_s));
  if (window.refused > 0) text += fmt::format(", {} refused", window.refused);
  if (window.failed > 0) text += fmt::format(", {} failed", window.failed);
  for (std::size_t i = 0; i < window.holds.size(); ++i) {
    if (window.holds[i]) continue;
    text += ", " + TermText(terms.budget.terms[i], {.seen = window.seen[i]});
  }
  return text;
}

// What the windows show: their least delivery where all are kept, else the broken ones.
std::string WindowsText(const ProofTerms& terms, const std::vector<ProofWindow>& windows) {
  constexpr int kTold = 3;
  std::string text;
  int broken = 0;
  double least = HUGE_VAL;
  for (const ProofWindow& window : windows) {
    least = std::min(least, window.delivered_tokens_per_s);
    if (window.kept()) continue;
    if (++broken <= kTold) text += (text.empty() ? "" : "; ") + WindowText(terms, window);
  }
  if (broken == 0) {
    return fmt::format("{} windows of {}, each delivered and on time; the least had {} tokens/s",
                       windows.size(), DurationText(terms.WindowSeconds() * 1000), Figure(least));
  }
  if (broken > kTold) text += fmt::format("; and {} more", broken - kTold);
  return fmt::format("{} of {} windows broke it: {}", broken, windows.size(), text);
}

bool AllKept(const std::vector<ProofWindow>& windows) {
  return !windows.empty() && std::ranges::all_of(windows, &ProofWindow::kept);
}

Distribution UtilizationOf(const ProofStage& stage) {
  std::vector<double> percent;
  for (const RequestRecord& record : stage.requests) {
    if (record.scheduled_ns < stage.from_ns || record.utilization_permille == kUnknown) continue;
    percent.push_back(record.utilization_permille / 10.0);
  }
  return Describe(std::move(percent));
}

Promise DeliveryPromise(const ProofTerms& terms, bool done, const std::vector<ProofWindow>& windows,
                        const Distribution& used) {
  Promise promise{.name = "delivery",
                  .promise = fmt::format("{} tokens/s are delivered in every window, within {}",
                                         Figure(terms.sold_tokens_per_s), terms.budget.Text())};
  if (!done || windows.empty()) {
    promise.evidence = "the windows were not completed";
    return promise;
  }
  promise.kept = AllKept(windows) ? Kept::kKept : Kept::kBroken;
  promise.evidence = WindowsText(terms, windows);
  if (used.count > 0) {
    promise.evidence += fmt::format("; utilization as the deployment told it: p50 {} %, max {} %",
                                    Figure(used.p50), Figure(used.maximum));
  }
  return promise;
}

RefusalFacts RefusalsOf(const ProofTerms& terms, const ProofStage& stage) {
  RefusalFacts facts;
  std::vector<double> refusals;
  std::vector<double> hints;
  double tokens = 0;
  std::int64_t first = INT64_MAX;
  std::int64_t last = 0;
  for (const RequestRecord& record : stage.requests) {
    ++facts.sent;
    first = std::min(first, record.scheduled_ns);
    last = std::max(last, record.scheduled_ns);
    if (record.error == ErrorKind::kRateLimited) {
      ++facts.refused;
      if (record.sent_ns != kNever) {
        refusals.push_back(static_cast<double>(record.end_ns - record.sent_ns) * 1e-6);
      }
      if (record.retry_after_ms == kNever) {
        ++facts.without_hint;
      } else {
        hints.push_back(static_cast<double>(record.retry_after_ms));
      }
    } else if (record.failed()) {
      ++facts.failed;
    } else {
      ++facts.answered;
      tokens += Tokens(terms, record);
    }
  }
  facts.refusal_ms = Describe(std::move(refusals));
  facts.retry_after_ms = Describe(std::move(hints));
  // The requests were due evenly: the last one's share of time comes after it.
  if (facts.sent > 1) {
    const double seconds = static_cast<double>(last - first) * 1e-9;
    const auto count = static_cast<double>(facts.sent);
    facts.delivered_tokens_per_s = tokens / (seconds * count / (count - 1));
  }
  return facts;
}

// Above what was sold: what was sold is still delivered, and the rest is refused at once with a
// hint.
Promise RefusalPromise(const ProofTerms& terms, const ProofEvidence& evidence,
                       const RefusalFacts& facts) {
  const double refusal_max_ms = Seconds(terms.refusal_max) * 1000;
  Promise promise{.name = "refusal",
                  .promise = fmt::format(
                      "Above it, what was sold is still delivered, and the rest is refused within "
                      "{} (p95), with Retry-After",
                      DurationText(refusal_max_ms))};
  if (!evidence.beyond.done) {
    promise.evidence = evidence.beyond.requests.empty()
                           ? "more than was sold was not sent"
                           : fmt::format("interrupted after {} at {:g} times the rate",
                                         Counted(std::ssize(evidence.beyond.requests), "request"),
                                         evidence.beyond_factor);
    return promise;
  }
  promise.evidence = fmt::format("{:g} times the rate: {} answered at {} tokens/s, {} refused",
                                 evidence.beyond_factor, Count(facts.answered),
                                 Figure(facts.delivered_tokens_per_s), Count(facts.refused));
  if (facts.failed > 0) promise.evidence += fmt::format(", {} failed", Count(facts.failed));
  if (facts.refused > 0) {
    promise.evidence += fmt::format(" within {} (p95)", DurationText(facts.refusal_ms.p95));
    if (facts.without_hint > 0) {
      promise.evidence += fmt::format(", {} of them without Retry-After", facts.without_hint);
    }
  }
  const bool delivered =
      facts.delivered_tokens_per_s >= terms.sold_tokens_per_s * (1 - terms.shortfall_max);
  const bool good = delivered && facts.failed == 0 && facts.without_hint == 0 &&
                    (facts.refused == 0 || facts.refusal_ms.p95 <= refusal_max_ms);
  if (!delivered) promise.evidence += "; less than was sold";
  // Where nothing was refused, there is no refusal to judge, but the rest still counts.
  promise.kept = !good ? Kept::kBroken : facts.refused > 0 ? Kept::kKept : Kept::kNotTested;
  if (promise.kept == Kept::kNotTested) {
    promise.evidence += "; nothing was refused, so that refusals could not be judged";
  }
  return promise;
}

Promise RetryPromise(const ProofEvidence& evidence) {
  Promise promise{.name = "retry_after",
                  .promise = "Who waits for as long as Retry-After says is admitted"};
  if (evidence.retries.empty()) {
    promise.evidence = "no refusal named a time that could be waited for";
    return promise;
  }
  std::int64_t admitted = 0;
  std::vector<double> waits;
  for (const ProofRetry& retry : evidence.retries) {
    if (retry.admitted) ++admitted;
    waits.push_back(static_cast<double>(retry.promised_ms));
  }
  const auto tried = std::ssize(evidence.retries);
  promise.kept = admitted == tried ? Kept::kKept : Kept::kBroken;
  promise.evidence = fmt::format("{} of {} retries were admitted after the time named (p50 {})",
                                 admitted, tried, DurationText(Describe(std::move(waits)).p50));
  return promise;
}

double MedianTtft(const ProofStage& stage) {
  std::vector<double> values;
  for (const RequestRecord& record : stage.requests) {
    if (record.failed() || record.scheduled_ns < stage.from_ns) continue;
    if (const auto ttft = MetricsOf(record).ttft_ms) values.push_back(*ttft);
  }
  return Describe(std::move(values)).p50;
}

Promise NeighbourPromise(const ProofTerms& terms, const ProofEvidence& evidence,
                         const std::vector<ProofWindow>& windows) {
  Promise promise{.name = "neighbour",
                  .promise =
                      "A neighbour's flood changes nothing: every window is still delivered, "
                      "on time"};
  if (!evidence.neighbour.done || windows.empty()) {
    promise.evidence = "no neighbour was named, or the stage was not completed";
    return promise;
  }
  promise.kept = AllKept(windows) ? Kept::kKept : Kept::kBroken;
  promise.evidence = fmt::format(
      "while a neighbour sent {} ({} answered, {} refused): {}; TTFT p50 {} alone, {} "
      "beside it",
      Counted(evidence.neighbour_sent, "request"), Count(evidence.neighbour_answered),
      Count(evidence.neighbour_refused), WindowsText(terms, windows),
      DurationText(MedianTtft(evidence.delivery)), DurationText(MedianTtft(evidence.neighbour)));
  return promise;
}

}  // namespace

std::int64_t ProofTerms::WindowRequests() const {
  return std::llround(std::ceil(RequestsPerSecond() * Seconds(window) - 1e-9));
}

double ProofTerms::WindowSeconds() const {
  return static_cast<double>(WindowRequests()) / RequestsPerSecond();
}

Status ProofTerms::Check() const {
  const Rule rules[] = {{"sold", sold_tokens_per_s, 1, 1e9},
                        {"output-weight", output_weight, 0.01, 1000},
                        {"windows", static_cast<double>(windows), 1, 10'000},
                        {"window-s", Seconds(window), 1, 3600},
                        {"warmup-s", Seconds(warmup), 0, 3600},
                        {"rest-s", Seconds(rest), 0, 3600},
                        {"beyond", beyond, 1, 100},
                        {"retries", static_cast<double>(retries), 0, 1000},
                        {"neighbour-factor", neighbour, 0.01, 100}};
  for (const Rule& rule : rules) {
    if (rule.value >= rule.least && rule.value <= rule.most) continue;
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is {}, it must be from {} to {}", rule.field, rule.value,
                            rule.least, rule.most),
                std::string(rule.field));
  }
  if (budget.empty()) {
    return Fail(Code::kInvalidArgument,
                "budget is missing: throughput is sold with a latency, as ttft_p95<2s", "budget");
  }
  if (WindowRequests() < kWindowRequestsMin) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("window-s is {}: only {} requests of {} tokens fall due in it at {} "
                    "tokens/s, {} are needed; raise it to {:.0f}",
                    Figure(Seconds(window)), WindowRequests(), RequestTokens(),
                    Figure(sold_tokens_per_s), kWindowRequestsMin,
                    std::ceil(static_cast<double>(kWindowRequestsMin) / RequestsPerSecond())),
        "window-s");
  }
  return {};
}

const Promise* Proof::Find(std::string_view name) const {
  const auto found = std::ranges::find(promises, name, &Promise::name);
  return found == promises.end() ? nullptr : &*found;
}

std::vector<ProofWindow> WindowsOf(const ProofTerms& terms, const ProofStage& stage) {
  std::vector<std::vector<const RequestRecord*>> due(static_cast<std::size_t>(terms.windows));
  const double length_ns = terms.WindowSeconds() * 1e9;
  for (const RequestRecord& record : stage.requests) {
    if (record.scheduled_ns < stage.from_ns) continue;
    // Due times are rounded to nanoseconds: half of one keeps the first of a window in it.
    const double place =
        (static_cast<double>(record.scheduled_ns - stage.from_ns) + 0.5) / length_ns;
    const auto window = static_cast<std::size_t>(place);
    if (window < due.size()) due[window].push_back(&record);
  }
  std::vector<ProofWindow> windows;
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (due[i].empty()) continue;
    windows.push_back(WindowOf(terms, static_cast<int>(i) + 1, due[i]));
  }
  return windows;
}

Proof JudgeProof(const ProofTerms& terms, const ProofEvidence& evidence, const RunHeader& header) {
  Proof proof{.terms = terms,
              .header = header,
              .windows = WindowsOf(terms, evidence.delivery),
              .neighbour_windows = WindowsOf(terms, evidence.neighbour),
              .utilization_percent = UtilizationOf(evidence.delivery),
              .refusals = RefusalsOf(terms, evidence.beyond),
              .retries = evidence.retries,
              .neighbour_sent = evidence.neighbour_sent,
              .neighbour_answered = evidence.neighbour_answered,
              .neighbour_refused = evidence.neighbour_refused,
              .beyond_factor = evidence.beyond_factor,
              .digest = HexSha256(EvidenceText(evidence))};
  proof.promises = {
      DeliveryPromise(terms, evidence.delivery.done, proof.windows, proof.utilization_percent),
      RefusalPromise(terms, evidence, proof.refusals), RetryPromise(evidence),
      NeighbourPromise(terms, evidence, proof.neighbour_windows)};
  const bool broken = std::ranges::any_of(
      proof.promises, [](const Promise& promise) { return promise.kept == Kept::kBroken; });
  const ProofStage& neighbour = evidence.neighbour;
  proof.interrupted = !evidence.delivery.done || !evidence.beyond.done ||
                      (!neighbour.requests.empty() && !neighbour.done);
  proof.kept = !broken && proof.promises.front().kept == Kept::kKept && !proof.interrupted;
  return proof;
}

}  // namespace penstock::bench
