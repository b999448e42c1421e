// Scheduler: which sequences run in the next step of the engine (continuous batching).
//
// A pure state machine: no clock, no lock, no tokens; `now` comes in. Each step takes every running
// decode first (one token each), then fills what is left of the step's budget with prefill. The
// budget is what keeps a step within `step_target`, by a model of the step's time that is fitted to
// the steps that were: so no prompt, however long, makes a stream wait longer than one such step.
//
// Who starts when a slot is free: jobs with a deadline, earliest first; then the caller that has
// had least (fair_share.h), and of its jobs the one that is due first. A job without a deadline is
// due when its prompt would be done if it had a share of the machine, as far as is known by now:
// short ones before long ones, equal ones as they came, and none for ever. Of every
// kDeadlineStartsMax + 1 starts one is left to those without a deadline.
//
// A job holds its slot, whose cells are its own, until it is removed: nothing is ever evicted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/fair_share.h"
#include "engine/request.h"
#include "engine/step_time.h"

namespace penstock::engine {

struct SchedulerLimits {
  int slots = 8;               // Sequences that run at once. At least 1.
  int queued_max = 256;        // Jobs that wait for a slot; 0 refuses what cannot start at once.
  int step_tokens_max = 512;   // Tokens in one step. At least `slots`.
  int slot_tokens_max = 4096;  // Prompt and output of one job together.
  bool whole_prompts = false;  // A prompt is never cut (models whose attention looks both ways).
  Duration step_target{};      // A step with decodes should take no longer; 0: no such bound.
  // Of a step, whatever the target: prompts must come to their end. More where nothing decodes, for
  // then only those wait who have just come.
  int prefill_tokens_min = 64;
  int prefill_tokens_alone_min = 256;
};

struct Job {
  RequestId id = 0;
  int prompt_tokens = 0;                // At least 1.
  int output_tokens_max = 0;            // 0: the job ends with its prompt (embeddings).
  std::string caller{};                 // Whom the work counts for.
  std::optional<TimePoint> deadline{};  // For the first token.
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

// Where a job starts: a free slot, and how many of its prompt's first tokens are there already.
struct Placement {
  int slot = 0;
  int position = 0;  // Less than the prompt's tokens.
};

// Chooses slots, and brings cached prefixes there. Without one: the lowest free slot, nothing
// cached.
class Placer {
 public:
  virtual ~Placer() = default;
  // `free` says of each slot whether it is; one is. nullopt: better not in this step, since what it
  // would compute is being computed for another job.
  virtual std::optional<Placement> Place(const Job& job, std::span<const bool> free) = 0;
};

// What the step that was planned consists of.
struct StepPlan {
  StepShape shape;
  int decodes = 0;
  int prefills = 0;
};

class Scheduler {
 public:
  static constexpr int kDeadlineStartsMax = 7;

  explicit Scheduler(SchedulerLimits limits, Placer* placer = nullptr);  // Borrowed.

  // kUnavailable when queued_max jobs wait already; kInvalidArgument when it can never fit.
  Status Enqueue(const Job& job, TimePoint now);

  // The work of the next step, decodes first; empty when there is nothing to do. Valid until the
  // next call. Calling it again without Advance() gives the same work.
  const std::vector<Work>& Plan();

  // The planned step was computed and took so long: every sequence is longer by what was planned
  // for it.
  void Advance(Duration took);

  // Ends a job, running or waiting, at any moment, also between Plan() and Advance(). Returns the
  // slot that it held.
  std::optional<int> Remove(RequestId id);

  // Teaches the model of step times, as Advance() does.
  void Learn(const StepShape& shape, Duration took) { step_time_.Learn(shape, took); }

  int queued() const { return static_cast<int>(queue_.size()); }
  int running() const { return running_; }
  int cells_used() const;  // Positions filled by running jobs.
  int Position(int slot) const { return slots_[static_cast<std::size_t>(slot)].position; }
  RequestId JobOf(int slot) const { return slots_[static_cast<std::size_t>(slot)].job.id; }
  int step_budget() const { return budget_; }  // Prompt tokens that the last step might have had.
  const StepPlan& step() const { return step_; }
  const StepTime& step_time() const { return step_time_; }
  const SchedulerLimits& limits() const { return limits_; }

 private:
  struct Entry {
    Job job;  // id 0: free.
    FairShare::Caller* caller = nullptr;
    TimePoint submitted{};
    std::uint64_t arrival = 0;
  };
  struct Slot : Entry {
    int position = 0;  // Tokens computed so far.
    bool decoding() const { return job.id != 0 && position >= job.prompt_tokens; }
    bool prefilling() const { return job.id != 0 && position < job.prompt_tokens; }
  };

  void StartWaiting();
  std::size_t NextWaiting(const std::vector<bool>& deferred) const;
  bool GoesBefore(const Entry& a, const Entry& b, bool deadlines_first) const;
  TimePoint DueOf(const Entry& entry) const;
  int PrefillBudget(int position) const;
  void PlanPrefill();
  void AddWork(const Work& work);

  SchedulerLimits limits_;
  Placer* placer_;
  StepTime step_time_;
  FairShare shares_;
  std::vector<Slot> slots_;
  std::vector<Entry> queue_;
  std::vector<Work> plan_;
  StepPlan step_;
  std::vector<int> order_;  // Scratch: slots in prefill, by urgency.
  int running_ = 0;
  int budget_ = 0;
  int deadline_starts_ = 0;  // In a row.
  std::uint64_t arrivals_ = 0;
};

}  // namespace penstock::engine
