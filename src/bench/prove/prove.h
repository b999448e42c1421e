// Prove: whether an endpoint keeps what was sold: the promises, the evidence, the verdict. Pure.
//
// A buyer sends exactly the tokens/s that were sold, evenly, and every window of time must deliver
// them at the promised latency. Then it sends more: refusals must be prompt, and whoever waits for
// as long as Retry-After says must be admitted. Then a neighbour floods, and nothing may change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/judge/budget.h"
#include "bench/record/record.h"
#include "bench/record/statistics.h"

namespace penstock::bench {

// What was sold, and how it is looked at.
struct ProofTerms {
  double sold_tokens_per_s = 0;  // Input and output together.
  // What an output token counts as, in tokens of input: throughput is sold so in PTU. All tokens/s
  // of a proof are counted so.
  double output_weight = 1;
  Budget budget{};  // The latency that goes with it. Not empty.
  int input_tokens = 0;
  int output_tokens = 0;
  int windows = 10;
  Duration window = std::chrono::seconds(60);  // At least; whole requests fall into each.
  Duration warmup = std::chrono::seconds(10);  // At the rate sold, before the windows.
  Duration rest = std::chrono::seconds(10);    // Between stages: what was overdrawn is made up for.
  double shortfall_max = 0.02;                 // Share of the tokens that a window may lack.
  double beyond = 2;                           // Times the rate sold, when more is sent.
  double beyond_max = 8;                       // It doubles up to here until something is refused.
  // At the most, so long: what a bucket has saved up must be drawn before anything is refused.
  Duration beyond_time_max = std::chrono::seconds(60);
  Duration refusal_max = std::chrono::seconds(1);  // A refusal later than this is not prompt (p95).
  int retries = 10;                                // Refusals whose Retry-After is obeyed. 0: none.
  Duration retry_wait_max = std::chrono::seconds(60);  // A longer Retry-After is not waited for.
  double neighbour = 4;  // Times the rate sold, by which a neighbour floods.

  double RequestTokens() const { return input_tokens + output_weight * output_tokens; }
  double RequestsPerSecond() const { return sold_tokens_per_s / RequestTokens(); }
  // Requests that fall due in each window, and its exact length.
  std::int64_t WindowRequests() const;
  double WindowSeconds() const;
  // Errors: kInvalidArgument naming the field: values out of range, no budget, fewer than
  // kWindowRequestsMin requests in a window.
  Status Check() const;
};
inline constexpr std::int64_t kWindowRequestsMin = 5;

// Requests of one stage; those due from `from_ns` on lie in windows.
struct ProofStage {
  bool done = false;  // False: not run, or ended early.
  std::int64_t from_ns = 0;
  std::vector<RequestRecord> requests{};
};

// A refusal whose Retry-After was obeyed.
struct ProofRetry {
  std::int64_t promised_ms = 0;
  std::int64_t waited_ms = 0;
  bool admitted = false;
  ErrorKind error = ErrorKind::kNone;  // Of the retry.
};

struct ProofEvidence {
  ProofStage delivery{};
  ProofStage beyond{};
  double beyond_factor = 0;  // The last one tried.
  std::vector<ProofRetry> retries{};
  ProofStage neighbour{};  // The buyer's requests while the neighbour flooded.
  std::int64_t neighbour_sent = 0;
  std::int64_t neighbour_answered = 0;
  std::int64_t neighbour_refused = 0;
};

enum class Kept { kKept, kBroken, kNotTested };
std::string_view Name(Kept kept);  // "kept", "broken", "not_tested"

struct Promise {
  std::string name{};  // Stable, for programs: "delivery", "refusal", "retry_after", "neighbour".
  std::string promise{};   // In words.
  std::string evidence{};  // What was seen, in words.
  Kept kept = Kept::kNotTested;
};

struct ProofWindow {
  int number = 0;  // From 1.
  double seconds = 0;
  std::int64_t due = 0;
  std::int64_t answered = 0;
  std::int64_t refused = 0;
  std::int64_t failed = 0;            // In any other way.
  double delivered_tokens_per_s = 0;  // Of the requests due in it that were answered.
  std::vector<double> seen{};         // At each term's percentile; see TermVerdict::seen.
  std::vector<bool> holds{};          // Each term.
  bool delivered = false;
  bool on_time = false;
  bool kept() const { return delivered && on_time; }
};

struct RefusalFacts {
  std::int64_t sent = 0;
  std::int64_t answered = 0;
  std::int64_t refused = 0;
  std::int64_t failed = 0;        // Neither.
  std::int64_t without_hint = 0;  // Refusals without Retry-After.
  Distribution refusal_ms{};      // Sent to refused.
  Distribution retry_after_ms{};
  double delivered_tokens_per_s = 0;
};

struct Proof {
  ProofTerms terms{};
  RunHeader header{};
  std::vector<Promise> promises{};
  std::vector<ProofWindow> windows{};
  std::vector<ProofWindow> neighbour_windows{};
  Distribution utilization_percent{};  // As the deployment told it in the windows, if it did.
  RefusalFacts refusals{};
  std::vector<ProofRetry> retries{};
  std::int64_t neighbour_sent = 0;
  std::int64_t neighbour_answered = 0;
  std::int64_t neighbour_refused = 0;
  double beyond_factor = 0;
  std::string digest{};      // SHA-256 of the evidence, in hexadecimal.
  bool interrupted = false;  // Before all was tried.
  bool kept = false;         // No promise broken, delivery seen, and not interrupted.

  const Promise* Find(std::string_view name) const;
};

// The windows of a stage.
std::vector<ProofWindow> WindowsOf(const ProofTerms& terms, const ProofStage& stage);

Proof JudgeProof(const ProofTerms& terms, const ProofEvidence& evidence, const RunHeader& header);

// All that was gathered, as JSON lines: what a proof's digest is of.
std::string EvidenceText(const ProofEvidence& evidence);

// "5,000 tokens/s, as 2.2 requests/s of 2,048 input and 256 output tokens", for people.
std::string SoldText(const ProofTerms& terms);
// ", an output token counted as 4"; "" where it counts as one.
std::string WeightText(const ProofTerms& terms);

// "Kept: 5,000 tokens/s were delivered in each of 10 windows …", for people: the verdict alone; the
// evidence stands with each promise.
std::string ProofAnswer(const Proof& proof);

}  // namespace penstock::bench
