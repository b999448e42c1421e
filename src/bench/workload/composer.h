// Composer: what request number `id` says: its part of the mix, its lengths, its text. Pure, and
// equal for equal settings.
//
// A plan (lengths, prefix, turns) is a function of seed and number alone, so that every thread and
// every load machine draws the same one. Text is cut from a corpus to a number of bytes; how many
// tokens that makes is learned from what the server counts. Parts of one fixed length have a
// PromptPool, which finds the exact number; the others follow a line, tokens = overhead + bytes ÷
// ratio, fitted to all counts seen so far.
//
// Every prompt starts with a salt of its own, at the place from which on it shall be unlike all
// others: the front, or behind a prefix that it shares on purpose. A shared prefix has the run's
// salt, so that nothing is left of it in a cache from an earlier run.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/schedule/schedule.h"
#include "bench/workload/corpus.h"
#include "bench/workload/message.h"
#include "bench/workload/mix.h"
#include "bench/workload/workload.h"

namespace penstock::bench {

// How many tokens a text of so many bytes has: a line through what was counted.
class TokenLine {
 public:
  void Observe(double bytes, double tokens);
  // At least 1.
  std::size_t BytesFor(double tokens) const;
  double TokensOf(double bytes) const;
  // Tokens of a piece within a text: without what the template adds.
  std::size_t BytesOfPiece(double tokens) const;

 private:
  TextRatio Ratio() const;

  // Sums over the observations, the guesses of TextRatio{} among them as two light ones.
  double weight_ = 0;
  double bytes_ = 0;
  double tokens_ = 0;
  double bytes_squared_ = 0;
  double bytes_tokens_ = 0;
};

// What the first turn of a request will be, before there is any text.
struct RequestPlan {
  std::uint64_t id = 0;
  std::size_t part = 0;
  int input_tokens = 0;  // Without the shared prefix.
  int output_tokens = 0;
  int prefix = -1;  // Which of the part's prefixes; -1: none.
  int prefix_tokens = 0;
  int turns = 1;
  std::span<const std::int64_t> blocks{};  // Of a trace; views into the schedule.
  int block_tokens = 0;
};

// What a server counted in a prompt of the pool that is fitted: enough to teach another composer
// the same.
struct FitPoint {
  int body = 0;  // Of the pool; -1: some other text, which tells of the line alone.
  std::size_t body_bytes = 0;
  std::size_t text_bytes = 0;  // Of the whole prompt.
  int tokens = 0;

  bool operator==(const FitPoint&) const = default;
};

struct ComposerSettings {
  Mix mix{};  // At least one part.
  std::uint64_t seed = 1;
  std::uint64_t salt = 0;
  bool salted = true;
  int bodies = 8;  // Of each pool.
};

// A value: each driver thread owns a copy, which then learns for itself.
class Composer {
 public:
  // `corpus` must outlive the composer and its copies.
  Composer(const Corpus& corpus, ComposerSettings settings);

  RequestPlan PlanOf(std::uint64_t id) const;
  // The same with the lengths and blocks of a trace's request.
  RequestPlan PlanOf(std::uint64_t id, const Due& due, std::span<const std::int64_t> blocks,
                     int block_tokens) const;

  // A turn's text, ready to send.
  struct Turn {
    Messages messages{};    // The whole conversation up to it.
    std::size_t bytes = 0;  // Of all texts.
    int input_tokens = 0;   // Wanted, the whole conversation counted.
    int output_tokens = 0;
    // Made by the part's pool: what to tell it, for a prompt stays in memory as long as its answer
    // streams. -1: not made by it.
    int body = -1;
    std::size_t body_bytes = 0;
  };
  Turn First(const RequestPlan& plan) const;
  // The turn `number`, from 2 on, after `messages`, which end with the reply. `input_before`:
  // tokens of that conversation, as far as they are known.
  Turn Next(const RequestPlan& plan, int number, Messages messages, int input_before) const;

  // The server counted `input_tokens` in a turn.
  void Observe(const Turn& turn, int input_tokens);

  const WorkloadPart& part(const RequestPlan& plan) const { return settings_.mix.parts[plan.part]; }
  const Mix& mix() const { return settings_.mix; }
  // The pool to fit before a run: that of the first part with a fixed length, else one of middle
  // length, whose counts teach the line.
  PromptPool& pool() { return pools_[fit_pool_]; }
  const PromptPool& pool() const { return pools_[fit_pool_]; }
  // Tells pool and line what a prompt of that pool cost.
  void ObserveFit(const FitPoint& point);
  // All that it was told in this way.
  const std::vector<FitPoint>& fit_points() const { return fit_points_; }
  // Most tokens that a request may be expected to ask for, on average: input and output.
  double tokens_mean() const;

 private:
  std::string Salt(std::uint64_t id) const;
  std::string Text(std::uint64_t seed, std::size_t bytes) const;
  std::string Prefix(const RequestPlan& plan) const;
  std::string BlockText(const RequestPlan& plan) const;
  Messages Opening(const RequestPlan& plan, Turn& turn) const;

  const Corpus* corpus_;  // Borrowed.
  ComposerSettings settings_;
  std::vector<PromptPool> pools_;
  std::vector<std::optional<std::size_t>> pool_of_part_;
  std::size_t fit_pool_ = 0;
  TokenLine line_;
  // What the fit alone taught: shared text must not change in length while a run goes on.
  TokenLine fitted_line_;
  std::vector<FitPoint> fit_points_;
  std::uint64_t salt_offset_ = 0;
};

}  // namespace penstock::bench
