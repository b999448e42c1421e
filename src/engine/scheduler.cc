// Continuous batching.
#include "engine/scheduler.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace penstock::engine {
namespace {

// A job without a deadline is due when it has waited this many times as long as its prompt takes
// alone, which is what it would wait beside three others.
constexpr int kDueFactor = 4;
// Nobody's deadline reaches further than this: who asks for a far one must not wait for ever.
constexpr Duration kDueMax = std::chrono::minutes(1);
constexpr double kMillisecondsPerTokenUnknown = 1;

// Prompt tokens that a step with decodes takes before its time is known.
constexpr int kPrefillTokensUnknown = 128;
// A piece of a further prompt this small costs a pass over the weights and brings little.
constexpr int kFragmentTokensMin = 32;

// What a drawn token costs, in computed prompt tokens: a decode reads the weights for itself.
constexpr double kOutputTokenCost = 4;

// Cells that `tokens` tokens from `position` on look at.
std::int64_t CellsSeen(int position, int tokens) {
  return static_cast<std::int64_t>(position) * tokens +
         static_cast<std::int64_t>(tokens) * (tokens + 1) / 2;
}

}  // namespace

Scheduler::Scheduler(SchedulerLimits limits, Placer* placer)
    : limits_(limits), placer_(placer), slots_(static_cast<std::size_t>(limits.slots)) {
  CHECK(limits.slots >= 1 && limits.step_tokens_max >= limits.slots, "a step holds every decode");
}

Status Scheduler::Enqueue(const Job& job, TimePoint now) {
  CHECK(job.id != 0, "0 marks a free slot");
  const int whole = job.prompt_tokens + job.output_tokens_max;
  const int prompt_max = limits_.whole_prompts
                             ? std::min(limits_.slot_tokens_max, limits_.step_tokens_max)
                             : limits_.slot_tokens_max;
  if (job.prompt_tokens < 1 || job.prompt_tokens > prompt_max || whole > limits_.slot_tokens_max) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} prompt and {} output tokens do not fit: the context holds {}",
                            job.prompt_tokens, job.output_tokens_max, prompt_max),
                "prompt");
  }
  const int free = limits_.slots - running_;
  if (queued() >= limits_.queued_max + free) {
    return Fail(Code::kUnavailable,
                fmt::format("{} requests are waiting already; the queue holds {}", queued(),
                            limits_.queued_max));
  }
  queue_.push_back(
      {.job = job, .caller = shares_.Arrive(job.caller), .submitted = now, .arrival = ++arrivals_});
  return {};
}

// By what is known now, for all alike: a job that comes when prompts have turned out to be faster
// than thought must not overtake its equals.
TimePoint Scheduler::DueOf(const Entry& entry) const {
  const Job& job = entry.job;
  if (job.deadline) return std::min(*job.deadline, entry.submitted + kDueMax);
  Duration alone = step_time_.Predict(
      {.prefill_tokens = job.prompt_tokens, .prefill_cells = CellsSeen(0, job.prompt_tokens)});
  if (alone == Duration{}) {
    alone = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(
        kMillisecondsPerTokenUnknown * job.prompt_tokens));
  }
  return entry.submitted + std::min(kDueFactor * alone, kDueMax);
}

bool Scheduler::GoesBefore(const Entry& a, const Entry& b, bool deadlines_first) const {
  const bool a_promised = a.job.deadline.has_value();
  const bool b_promised = b.job.deadline.has_value();
  if (a_promised != b_promised) return a_promised == deadlines_first;
  if (!a_promised && a.caller->counter != b.caller->counter) {
    return a.caller->counter < b.caller->counter;
  }
  const TimePoint a_due = DueOf(a);
  const TimePoint b_due = DueOf(b);
  return a_due != b_due ? a_due < b_due : a.arrival < b.arrival;
}

// The place in the queue of whoever starts next; queue_.size() when all are deferred.
std::size_t Scheduler::NextWaiting(const std::vector<bool>& deferred) const {
  const bool deadlines_first = deadline_starts_ < kDeadlineStartsMax;
  std::size_t next = queue_.size();
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    if (deferred[i]) continue;
    if (next == queue_.size() || GoesBefore(queue_[i], queue_[next], deadlines_first)) next = i;
  }
  return next;
}

void Scheduler::StartWaiting() {
  if (queue_.empty() || running_ == limits_.slots) return;
  std::vector<bool> deferred(queue_.size());
  const auto free = std::make_unique<bool[]>(slots_.size());
  while (running_ < limits_.slots) {
    const std::size_t next = NextWaiting(deferred);
    if (next == queue_.size()) return;
    // The lowest free slot: running slots stay close together, which one batch of llama.cpp needs.
    std::optional<Placement> place;
    for (std::size_t i = slots_.size(); i-- > 0;) {
      free[i] = slots_[i].job.id == 0;
      if (free[i]) place = Placement{.slot = static_cast<int>(i)};
    }
    if (placer_ != nullptr) place = placer_->Place(queue_[next].job, {free.get(), slots_.size()});
    if (!place) {
      deferred[next] = true;
      continue;
    }
    Slot& slot = slots_[static_cast<std::size_t>(place->slot)];
    CHECK(slot.job.id == 0 && place->position < queue_[next].job.prompt_tokens,
          "a job starts in a free slot, and computes at least one token");
    static_cast<Entry&>(slot) = std::move(queue_[next]);
    slot.position = place->position;
    deadline_starts_ = slot.job.deadline ? deadline_starts_ + 1 : 0;
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(next));
    deferred.erase(deferred.begin() + static_cast<std::ptrdiff_t>(next));
    ++running_;
  }
}

void Scheduler::AddWork(const Work& work) {
  plan_.push_back(work);
  const std::int64_t cells = CellsSeen(work.position, work.tokens);
  if (work.decoding) {
    ++step_.decodes;
    ++step_.shape.decodes;
    step_.shape.decode_cells += cells;
  } else {
    ++step_.prefills;
    step_.shape.prefill_tokens += work.tokens;
    step_.shape.prefill_cells += cells;
  }
}

const std::vector<Work>& Scheduler::Plan() {
  StartWaiting();
  plan_.clear();
  step_ = {};
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.decoding()) {
      AddWork({slot.job.id, static_cast<int>(i), slot.position, 1, true, true});
    }
  }
  PlanPrefill();
  return plan_;
}

// Prompt tokens that this step may have, the first of them at `position`.
int Scheduler::PrefillBudget(int position) const {
  const int most = limits_.step_tokens_max - step_.decodes;
  if (limits_.step_target == Duration{} || limits_.whole_prompts) return most;
  const int wanted =
      step_.decodes == 0 ? limits_.prefill_tokens_alone_min : limits_.prefill_tokens_min;
  const int least = std::min(wanted, most);
  const int kept = step_time_.PrefillTokensWithin(step_.shape, position, limits_.step_target,
                                                  kPrefillTokensUnknown);
  return std::clamp(kept, least, most);
}

void Scheduler::PlanPrefill() {
  order_.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].prefilling()) order_.push_back(static_cast<int>(i));
  }
  if (order_.empty()) return;
  std::ranges::sort(order_, {},
                    [this](int i) { return std::pair(DueOf(slots_[i]), slots_[i].arrival); });
  budget_ = PrefillBudget(slots_[order_.front()].position);
  int budget = budget_;
  for (const int i : order_) {
    const Slot& slot = slots_[i];
    const int left = slot.job.prompt_tokens - slot.position;
    const int taken = std::min(left, budget);
    if (taken == 0 || (limits_.whole_prompts && taken < left)) return;
    if (step_.prefills > 0 && taken < left && taken < kFragmentTokensMin) return;
    AddWork({slot.job.id, i, slot.position, taken, taken == left, false});
    budget -= taken;
  }
}

void Scheduler::Advance(Duration took) {
  step_time_.Learn(step_.shape, took);
  for (const Work& work : plan_) {
    Slot& slot = slots_[work.slot];
    if (slot.job.id != work.id) continue;
    slot.position += work.tokens;
    FairShare::Charge(slot.caller, work.decoding ? kOutputTokenCost : work.tokens);
  }
  plan_.clear();
}

std::optional<int> Scheduler::Remove(RequestId id) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].job.id != id) continue;
    shares_.Leave(slots_[i].caller);
    slots_[i] = Slot{};
    --running_;
    return static_cast<int>(i);
  }
  std::erase_if(queue_, [this, id](const Entry& entry) {
    if (entry.job.id != id) return false;
    shares_.Leave(entry.caller);
    return true;
  });
  return std::nullopt;
}

int Scheduler::cells_used() const {
  int used = 0;
  for (const Slot& slot : slots_) used += slot.position;
  return used;
}

}  // namespace penstock::engine
