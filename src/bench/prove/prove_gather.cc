#include "bench/prove/prove_gather.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "io/task_scope.h"

namespace penstock::bench {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(1);
constexpr std::uint64_t kFirstId = std::uint64_t{1} << 36;  // Apart from those of the fit.
constexpr std::uint64_t kNeighbourId = kFirstId + (std::uint64_t{1} << 35);

struct Sender {
  Sender(Driver& by, int tokens, std::uint64_t first_id)
      : driver(by), output_tokens(tokens), next_id(first_id) {}

  Driver& driver;
  int output_tokens;
  std::uint64_t next_id;
  int in_flight = 0;

  std::int64_t Since(TimePoint at) const { return (at - driver.settings().start).count(); }
};

io::Task<void> SendOne(Sender& sender, TimePoint due, Phase phase, ProofStage& stage) {
  ++sender.in_flight;
  const std::uint64_t id = sender.next_id++;
  RequestRecord record = co_await sender.driver.Ask(id, sender.driver.composer().pool().Make(id),
                                                    sender.output_tokens);
  record.scheduled_ns = sender.Since(due);
  record.phase = phase;
  --sender.in_flight;
  stage.requests.push_back(std::move(record));
}

RequestRecord NeverSent(const Sender& sender, TimePoint due, Phase phase) {
  RequestRecord record;
  record.concurrency = 1;
  record.phase = phase;
  record.scheduled_ns = record.end_ns = sender.Since(due);
  record.error = ErrorKind::kTimeout;
  record.error_message = "too many requests were under way";
  return record;
}

struct Schedule {
  double rate_per_s = 0;
  std::int64_t warmup = 0;    // Requests before the first window.
  std::int64_t requests = 0;  // In windows.
};

bool AnyRefused(const ProofStage& stage) {
  return std::ranges::any_of(stage.requests, [](const RequestRecord& record) {
    return record.error == ErrorKind::kRateLimited;
  });
}

// Sends on schedule, then waits for the answers. With `more` requests beyond the schedule's, they
// go on at its rate until the first refusal and as many as the schedule's behind it.
io::Task<void> Run(Sender& sender, Schedule schedule, ProofStage& stage,
                   const std::function<void(std::int64_t done, std::int64_t total)>& on_step,
                   std::int64_t more = 0) {
  io::Loop& loop = sender.driver.loop();
  io::TaskScope scope(loop);
  const TimePoint start = loop.Now();
  std::int64_t all = schedule.warmup + schedule.requests;
  std::size_t looked = 0;  // Until the first refusal.
  const auto due_at = [&](std::int64_t number) {
    return start + Duration(std::llround(static_cast<double>(number) * 1e9 / schedule.rate_per_s));
  };
  stage.from_ns = sender.Since(due_at(schedule.warmup));
  bool cancelled = false;
  for (std::int64_t number = 0; number < all; ++number) {
    const TimePoint due = due_at(number);
    if (!co_await loop.SleepUntil(due)) {
      cancelled = true;
      break;
    }
    const Phase phase = number < schedule.warmup ? Phase::kWarmup : Phase::kMeasured;
    if (sender.in_flight >= kProofInFlightMax) {
      stage.requests.push_back(NeverSent(sender, due, phase));
    } else {
      scope.Spawn("proof request", SendOne(sender, due, phase, stage));
    }
    on_step(number + 1, all + more);
    while (more > 0 && looked < stage.requests.size()) {
      if (stage.requests[looked++].error != ErrorKind::kRateLimited) continue;
      all = std::max(all, number + 1 + schedule.requests);
      more = 0;
    }
    if (more > 0 && number + 1 == all) {
      ++all;
      --more;
    }
  }
  if (cancelled) scope.Stop();
  co_await scope.Join();
  stage.done = !cancelled;
}

// The neighbour: far more than is good, until it is closed. Nothing of it is kept but the counts.
io::Task<void> Flood(Sender& sender, double rate_per_s, ProofEvidence& evidence) {
  ProofStage stage;
  co_await Run(sender, {.rate_per_s = rate_per_s, .requests = INT64_MAX / 2}, stage,
               [](std::int64_t, std::int64_t) {});
  for (const RequestRecord& record : stage.requests) {
    ++evidence.neighbour_sent;
    if (record.error == ErrorKind::kRateLimited) ++evidence.neighbour_refused;
    if (!record.failed()) ++evidence.neighbour_answered;
  }
}

class Gathering {
 public:
  Gathering(ProofDrivers drivers, const ProofTerms& terms, ProofEvidence& evidence,
            OnProofProgress on_progress)
      : drivers_(drivers),
        terms_(terms),
        evidence_(evidence),
        on_progress_(std::move(on_progress)),
        buyer_(*drivers.buyer, terms.output_tokens, kFirstId) {}

  io::Task<void> All() {
    if (!co_await Rest()) co_return;
    co_await Delivery(evidence_.delivery, "delivery");
    if (!evidence_.delivery.done) co_return;
    co_await Beyond();
    if (!evidence_.beyond.done) co_return;
    for (int retry = 0; retry < terms_.retries; ++retry) {
      Step("retries", retry, terms_.retries);
      if (!co_await Retry()) break;
    }
    if (drivers_.neighbour == nullptr) co_return;
    if (!co_await Rest()) co_return;
    co_await BesideNeighbour();
  }

 private:
  io::Loop& loop() { return drivers_.buyer->loop(); }

  void Step(std::string_view stage, std::int64_t done, std::int64_t total) {
    if (done == 0) stage_begun_ = loop().Now();
    if (!on_progress_) return;
    on_progress_({.stage = std::string(stage),
                  .done = done,
                  .total = total,
                  .elapsed_s = Seconds(loop().Now() - stage_begun_)});
  }

  std::int64_t WarmupRequests() const {
    return std::llround(std::ceil(terms_.RequestsPerSecond() * Seconds(terms_.warmup)));
  }

  io::Task<void> Delivery(ProofStage& stage, std::string_view name) {
    const std::int64_t requests = terms_.WindowRequests() * terms_.windows;
    const Schedule schedule{
        .rate_per_s = terms_.RequestsPerSecond(), .warmup = WarmupRequests(), .requests = requests};
    Step(name, 0, schedule.warmup + requests);
    co_await Run(buyer_, schedule, stage,
                 [this, name](std::int64_t done, std::int64_t total) { Step(name, done, total); });
  }

  // More and more, until something is refused.
  io::Task<void> Beyond() {
    for (double factor = terms_.beyond;; factor *= 2) {
      if (!co_await Rest()) co_return;
      const double rate = factor * terms_.RequestsPerSecond();
      const auto requests = static_cast<std::int64_t>(std::ceil(rate * terms_.WindowSeconds()));
      const bool last = factor * 2 > terms_.beyond_max;
      const double longest_s = Seconds(terms_.beyond_time_max);
      const std::int64_t more =
          last ? std::max<std::int64_t>(std::llround(rate * longest_s) - requests, 0) : 0;
      evidence_.beyond = {};
      evidence_.beyond_factor = factor;
      Step("beyond", 0, requests + more);
      co_await Run(
          buyer_, {.rate_per_s = rate, .requests = requests}, evidence_.beyond,
          [this](std::int64_t done, std::int64_t all) { Step("beyond", done, all); }, more);
      if (!evidence_.beyond.done || AnyRefused(evidence_.beyond) || last) co_return;
    }
  }

  // Sends until it is refused, falls silent for as long as it was told, and asks once more. False:
  // no refusal came, or it named no time that can be waited for.
  io::Task<bool> Retry() {
    ProofStage stage;
    const double rate = std::max(evidence_.beyond_factor, 2.0) * terms_.RequestsPerSecond();
    const auto most = static_cast<std::int64_t>(std::ceil(rate * terms_.WindowSeconds()));
    io::TaskScope scope(loop());
    const TimePoint start = loop().Now();
    std::size_t seen = 0;
    std::optional<RequestRecord> refusal;
    const auto look = [&] {
      for (; seen < stage.requests.size() && !refusal; ++seen) {
        const RequestRecord& record = stage.requests[seen];
        if (record.error == ErrorKind::kRateLimited) refusal = record;
      }
    };
    bool awake = true;
    for (std::int64_t number = 0; number < most && !refusal && awake; ++number) {
      const TimePoint due =
          start + Duration(std::llround(static_cast<double>(number) * 1e9 / rate));
      // From the first refusal on it is silent: so it looks for one all the time.
      while (awake && !refusal && loop().Now() < due) {
        const Status slept = co_await loop().SleepUntil(std::min(due, loop().Now() + kLookEvery));
        awake = slept.has_value();
        look();
      }
      if (awake && !refusal && buyer_.in_flight < kProofInFlightMax) {
        scope.Spawn("proof request", SendOne(buyer_, due, Phase::kMeasured, stage));
      }
    }
    if (!awake) scope.Stop();
    if (!refusal || refusal->retry_after_ms == kNever ||
        std::chrono::milliseconds(refusal->retry_after_ms) > terms_.retry_wait_max) {
      co_await scope.Join();
      co_return false;
    }
    const std::int64_t promised_ms = refusal->retry_after_ms;
    const TimePoint refused_at =
        buyer_.driver.settings().start + std::chrono::nanoseconds(refusal->end_ns);
    const Status slept =
        co_await loop().SleepUntil(refused_at + std::chrono::milliseconds(promised_ms));
    const bool waited = slept.has_value();
    if (waited) {
      ProofStage again;
      const TimePoint now = loop().Now();
      co_await SendOne(buyer_, now, Phase::kMeasured, again);
      const RequestRecord& record = again.requests.front();
      evidence_.retries.push_back(
          {.promised_ms = promised_ms,
           .waited_ms =
               std::chrono::duration_cast<std::chrono::milliseconds>(now - refused_at).count(),
           .admitted = !record.failed(),
           .error = record.error});
    }
    co_await scope.Join();
    co_return waited;
  }

  io::Task<void> BesideNeighbour() {
    Sender neighbour(*drivers_.neighbour, terms_.output_tokens, kNeighbourId);
    io::TaskScope scope(loop());
    scope.Spawn("neighbour",
                Flood(neighbour, terms_.neighbour * terms_.RequestsPerSecond(), evidence_));
    co_await Delivery(evidence_.neighbour, "beside a neighbour");
    scope.Stop();
    co_await scope.Join();
  }

  io::Task<bool> Rest() {
    const Status slept = co_await loop().Sleep(terms_.rest);
    co_return slept.has_value();
  }

  ProofDrivers drivers_;
  const ProofTerms& terms_;
  ProofEvidence& evidence_;
  OnProofProgress on_progress_;
  Sender buyer_;
  TimePoint stage_begun_;
};

}  // namespace

io::Task<void> GatherProof(ProofDrivers drivers, const ProofTerms& terms, ProofEvidence& evidence,
                           OnProofProgress on_progress) {
  Gathering gathering(drivers, terms, evidence, std::move(on_progress));
  co_await gathering.All();
}

}  // namespace penstock::bench
