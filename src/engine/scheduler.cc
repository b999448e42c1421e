// Continuous batching.
#include "engine/scheduler.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace penstock::engine {

Scheduler::Scheduler(SchedulerLimits limits)
    : limits_(limits), slots_(static_cast<std::size_t>(limits.slots)) {
  CHECK(limits.slots >= 1 && limits.step_tokens_max >= limits.slots, "a step holds every decode");
}

Status Scheduler::Enqueue(const Job& job) {
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
  queue_.push_back(job);
  return {};
}

void Scheduler::StartWaiting() {
  // The lowest free slot: running slots stay close together, which one batch of llama.cpp needs.
  for (Slot& slot : slots_) {
    if (queue_.empty()) return;
    if (slot.job.id != 0) continue;
    slot = Slot{.job = queue_.front(), .arrival = ++arrivals_};
    queue_.pop_front();
    ++running_;
  }
}

const std::vector<Work>& Scheduler::Plan() {
  StartWaiting();
  plan_.clear();
  int budget = limits_.step_tokens_max;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.job.id == 0 || slot.position < slot.job.prompt_tokens) continue;
    plan_.push_back({slot.job.id, static_cast<int>(i), slot.position, 1, true, true});
    --budget;
  }
  PlanPrefill(budget);
  return plan_;
}

void Scheduler::PlanPrefill(int budget) {
  order_.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.job.id != 0 && slot.position < slot.job.prompt_tokens) {
      order_.push_back(static_cast<int>(i));
    }
  }
  std::ranges::sort(order_, {}, [this](int i) { return slots_[i].arrival; });
  for (const int i : order_) {
    const Slot& slot = slots_[i];
    const int left = slot.job.prompt_tokens - slot.position;
    const int taken = std::min(left, budget);
    if (taken == 0 || (limits_.whole_prompts && taken < left)) return;
    plan_.push_back({slot.job.id, i, slot.position, taken, taken == left, false});
    budget -= taken;
  }
}

void Scheduler::Advance() {
  for (const Work& work : plan_) {
    Slot& slot = slots_[work.slot];
    if (slot.job.id == work.id) slot.position += work.tokens;
  }
  plan_.clear();
}

std::optional<int> Scheduler::Remove(RequestId id) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].job.id != id) continue;
    slots_[i] = Slot{};
    --running_;
    return static_cast<int>(i);
  }
  std::erase_if(queue_, [id](const Job& job) { return job.id == id; });
  return std::nullopt;
}

int Scheduler::cells_used() const {
  int used = 0;
  for (const Slot& slot : slots_) used += slot.position;
  return used;
}

}  // namespace penstock::engine
