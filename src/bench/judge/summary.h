// Summary: the figures of a load test, as a pure function of its records.
//
// The words are those of docs: TTFT is the time to the first chunk that carries text, counted from
// when the request was due (`scheduled`) and from when it was sent, side by side. TPOT is
// (last chunk − first chunk) / (output tokens − tokens in the first chunk). Latency runs to the
// last token's chunk. In a level's steady window every worker has a request under way; throughput
// is the tokens that fall into it, divided by its length.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/judge/budget.h"
#include "bench/judge/rates.h"
#include "bench/judge/repeats.h"
#include "bench/judge/timeline.h"
#include "bench/judge/verdict.h"
#include "bench/record/metrics.h"
#include "bench/record/record.h"
#include "bench/record/statistics.h"

namespace penstock::bench {

// How far a warning reaches: a remark, a figure to doubt, figures that must not be used.
enum class Severity { kNote, kDoubt, kInvalid };
std::string_view Name(Severity severity);  // "note", "doubt", "invalid"

struct Warning {
  Severity severity = Severity::kNote;
  std::string name{};     // Stable, for programs: "few_samples", "errors", "client_lag", ...
  std::string message{};  // For people: what, how much, and what to do.
  // How much, where levels differ in it alone: then the worst one speaks for all. 0: they do not.
  double worst = 0;
};

// How the successes of a level stand to what was asked, and to the server's own counts.
struct TokenFacts {
  std::int64_t without_usage = 0;  // The server told no output count: chunks were counted.
  std::int64_t input_wanted = 0;   // Sums of what was wanted.
  std::int64_t output_wanted = 0;
  std::int64_t input_off = 0;      // Off by more than 2 % of what was wanted, and by 2 tokens.
  std::int64_t output_off = 0;     // Output count other than what was wanted.
  std::int64_t beyond_wanted = 0;  // Output count above what the request allowed.
  std::int64_t impossible = 0;     // More chunks with text than output tokens in the usage.
  // Replies that a tokenizer of the client's counted; of them those whose output it counts
  // otherwise than the usage does, by more than 2 % and one token; and the sums of both counts.
  std::int64_t retokenised = 0;
  std::int64_t retokenised_off = 0;
  std::int64_t usage_output = 0;
  std::int64_t counted_output = 0;
  std::int64_t usage_input = 0;
  std::int64_t counted_input = 0;
  std::int64_t cached_tokens = 0;  // Input tokens that a prefix cache served.
  std::int64_t input_tokens = 0;   // All input tokens that the server counted.
  bool operator==(const TokenFacts&) const = default;
};

// Whether a level changed while it ran: the last third of its measured requests against the first.
struct Drift {
  double ratio = 1;          // Of median latencies; 1 where there are too few.
  bool significant = false;  // Not by chance, at p < 0.01.
};

struct LevelSummary {
  int concurrency = 0;         // 0 in an open loop.
  int number = 0;              // Of an open loop's level, from 1; 0 in a closed loop.
  double rate_per_s = 0;       // Of an open loop: requests that were due, a second.
  std::vector<int> numbers{};  // Of the levels that this load ran as: several where it repeats.
  Repeats repeats{};           // How its figures scatter over those.
  bool scout = false;          // Looked at with a few requests by a search, and not judged.
  bool cut = false;            // Ended early, by its judge: see LevelRecord.
  BudgetVerdict verdict{};     // Against the run's budget.
  std::int64_t measured = 0;   // Requests of the measured phase.
  std::int64_t succeeded = 0;  // Those of them that did not fail.
  std::int64_t warmup = 0;
  std::array<std::int64_t, kErrorKinds> errors{};  // Of both phases, by ErrorKind.
  std::string first_error{};  // What the first failed request was told; "" if nothing.

  // Milliseconds, over the measured requests that succeeded.
  Distribution ttft_ms{};                // From scheduled.
  Distribution ttft_service_ms{};        // From sent.
  Distribution ttfo_ms{};                // From scheduled to the first text that is not reasoning.
  Distribution tpot_ms{};                // Of replies longer than their first chunk.
  Distribution icl_ms{};                 // Each gap between chunks.
  Distribution latency_ms{};             // From scheduled to the last token's chunk.
  Distribution normalised_latency_ms{};  // Latency ÷ output tokens.
  Distribution end_ms{};                 // From scheduled to the response's end.
  Distribution request_ms{};             // Sent to end, of replies in one piece.
  Distribution server_queue_ms{};        // As the server's headers told it.
  Distribution retry_after_ms{};         // Of refusals that named one, of both phases.
  Distribution send_lag_ms{};            // Scheduled to sent, of all measured requests.

  Window steady{};                        // Of the only run; the first one's where it repeats.
  std::vector<Window> steady_windows{};   // Of each run that had one.
  Rates in_steady{};                      // Zero where there was no steady window.
  Rates whole{};                          // First send to last end, ramp and drain included.
  double failed_output_tokens_per_s = 0;  // Whole run; tokens of failures are counted apart.

  double input_tokens_mean = 0;   // As the server counted; 0 where it never told.
  double output_tokens_mean = 0;  // Of successes.
  // Largest |latency − (TTFT + TPOT·(N − n_first))| ÷ latency over the replies. Rounding only,
  // unless records contradict themselves.
  double identity_residual_max = 0;
  // Mean of (latency − (TTFT + TPOT·N)) ÷ latency: what the common form of the identity gets wrong.
  double common_identity_residual_mean = 0;
  // Output tokens per chunk with text. Only where it is 1 are gaps between chunks inter-token
  // times.
  double tokens_per_chunk = 0;
  // Measured requests that met every bound of the run's budget ÷ all attempts. 0 without a budget.
  double goodput_share = 0;
  double shared_read_share = 0;  // Reads that held several token chunks ÷ reads with any.
  std::int64_t scheduled = 0;    // Of an open loop: requests that its schedule held.
  std::int64_t unsent = 0;       // Those that were never sent.
  double loop_lag_p99_ms = 0;    // How late the client's loops were for their timers; 0: not known.
  double client_load = 0;        // Client processor time ÷ (threads × time); 0 where unknown.
  // Values at 1 %, 2 % … 99 %, for pictures; empty where there are no samples.
  std::vector<double> ttft_curve_ms{};
  std::vector<double> tpot_curve_ms{};
  TokenFacts tokens{};
  Drift drift{};

  std::vector<Warning> warnings{};

  std::int64_t failures() const;   // Of both phases; the cancelled ones are none.
  std::int64_t cancelled() const;  // Under way when the run was stopped.
  double error_share() const;      // Failures, of all finished requests of both phases.
  // The figure to show: the steady window's where there is one, else the whole level's.
  const Rates& best_rates() const { return steady.seconds() > 0 ? in_steady : whole; }
};

struct RunSummary {
  RunHeader header{};
  Budget budget{};                     // The header's; empty where it has none.
  std::vector<LevelSummary> levels{};  // By rising concurrency.
  std::vector<Warning> warnings{};     // Of the run as a whole; each level has its own, too.
  bool valid = true;                   // No warning of severity kInvalid anywhere.
  // Indices into `levels`, of levels with at least one success; none if there is no such level.
  std::optional<std::size_t> fastest{};   // Least median latency.
  std::optional<std::size_t> balanced{};  // Most output throughput ÷ median latency: the knee.
  // Most output throughput. Levels within 2 % of it are equal to it, and the least concurrency
  // wins.
  std::optional<std::size_t> highest{};
  // Most output throughput of the levels that held the budget; none without a budget.
  std::optional<std::size_t> within_budget{};
  std::vector<TimelineSlice> timeline{};
};

RunSummary Summarise(const RunRecords& run);

// Whether a request ran in a level.
bool BelongsTo(const RequestRecord& record, const LevelSummary& level);

}  // namespace penstock::bench
