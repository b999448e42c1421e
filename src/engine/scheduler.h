// Scheduler: which sequences run in the next step of the engine (continuous batching).
//
// A pure state machine: no clock, no lock, no tokens. Each step takes every running decode first
// (one token each), then fills what is left of the step's budget with prefill, in order of arrival,
// so that no prompt, however long, makes a stream wait longer than one bounded step. A job holds
// its slot, whose cells are its own, until it is removed: nothing is ever evicted.
//
// A waiting job is taken in order of arrival; deadlines belong in StartWaiting().
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "engine/request.h"

namespace penstock::engine {

struct SchedulerLimits {
  int slots = 8;               // Sequences that run at once. At least 1.
  int queued_max = 256;        // Jobs that wait for a slot; 0 refuses what cannot start at once.
  int step_tokens_max = 512;   // Tokens in one step. At least `slots`.
  int slot_tokens_max = 4096;  // Prompt and output of one job together.
  bool whole_prompts = false;  // A prompt is never cut (models whose attention looks both ways).
};

struct Job {
  RequestId id = 0;
  int prompt_tokens = 0;      // At least 1.
  int output_tokens_max = 0;  // 0: the job ends with its prompt (embeddings).
};

// Tokens of one job in one step.
struct Work {
  RequestId id;
  int slot;
  int position;       // Of the first of these tokens in the sequence.
  int tokens;         // 1 when decoding.
  bool wants_output;  // The last token's output is needed: a token is drawn or a vector taken.
  bool decoding;
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerLimits limits);

  // kUnavailable when queued_max jobs wait already; kInvalidArgument when it can never fit.
  Status Enqueue(const Job& job);

  // The work of the next step, decodes first; empty when there is nothing to do. Valid until the
  // next call. Calling it again without Advance() gives the same work.
  const std::vector<Work>& Plan();

  // The planned step was computed: every sequence is longer by what was planned for it.
  void Advance();

  // Ends a job, running or waiting, at any moment, also between Plan() and Advance(). Returns the
  // slot that it held, whose cells the caller clears before the next step.
  std::optional<int> Remove(RequestId id);

  int queued() const { return static_cast<int>(queue_.size()); }
  int running() const { return running_; }
  int cells_used() const;  // Positions filled in all slots.
  const SchedulerLimits& limits() const { return limits_; }

 private:
  struct Slot {
    Job job;           // id 0: free.
    int position = 0;  // Tokens computed so far.
    std::uint64_t arrival = 0;
  };

  void StartWaiting();
  void PlanPrefill(int budget);

  SchedulerLimits limits_;
  std::vector<Slot> slots_;
  std::deque<Job> queue_;
  std::vector<Work> plan_;
  std::vector<int> order_;  // Scratch: slots in prefill by arrival.
  int running_ = 0;
  std::uint64_t arrivals_ = 0;
};

}  // namespace penstock::engine
