#include "plan/sim_replica.h"

#include <algorithm>

namespace penstock::plan {
namespace {

// Steps and tokens that floating point may miss by.
constexpr double kHair = 1e-6;

}  // namespace

double SimReplica::Chunk() const {
  return prefills_.empty() ? 0 : std::min(prefill_budget_, queued_prompt_tokens_);
}

// The mean step until the next event, for contexts grow meanwhile.
double SimReplica::StepSeconds() const {
  const auto sequences = static_cast<double>(decodes_.size());
  double growth = 0;
  if (!decodes_.empty()) {
    double steps = decodes_.top().end_step - steps_;
    if (!prefills_.empty()) steps = std::min(steps, prefills_.front().remaining / Chunk());
    growth = sequences * std::max(0.0, steps) / 2;
  }
  return step_.fixed_s + Chunk() * step_.per_prefill_token_s +
         sequences * step_.per_decode_sequence_s + (context_ + growth) * step_.per_context_token_s;
}

double SimReplica::UntilNext() const {
  const double step = StepSeconds();
  double steps = kNever;
  if (!prefills_.empty()) steps = prefills_.front().remaining / Chunk();
  if (!decodes_.empty()) steps = std::min(steps, decodes_.top().end_step - steps_);
  return std::max(0.0, steps) * step;
}

double SimReplica::NextEvent() const { return idle() ? kNever : at_ + UntilNext(); }

void SimReplica::Add(std::uint32_t request, int input_tokens, int output_tokens, double now) {
  std::vector<Happening> none;
  Advance(now, none);
  const double prompt = std::max(1, input_tokens);
  prefills_.push_back({.request = request,
                       .remaining = prompt,
                       .input_tokens = input_tokens,
                       .output_tokens = output_tokens});
  queued_prompt_tokens_ += prompt;
}

void SimReplica::Advance(double now, std::vector<Happening>& happened) {
  if (idle()) {
    at_ = now;
    return;
  }
  const double seconds = std::max(0.0, now - at_);
  // A step of no time at all would never move on.
  const double steps = seconds / std::max(StepSeconds(), 1e-12);
  const double chunk = Chunk();
  busy_s_ += seconds;
  at_ = std::max(at_, now);
  steps_ += steps;
  context_ += steps * static_cast<double>(decodes_.size());
  if (!prefills_.empty()) {
    const double taken = std::min(prefills_.front().remaining, steps * chunk);
    prefills_.front().remaining -= taken;
    queued_prompt_tokens_ -= taken;
  }
  while (!decodes_.empty() && decodes_.top().end_step <= steps_ + kHair) {
    happened.push_back({.request = decodes_.top().request, .at = at_, .is_end = true});
    context_ = decodes_.size() == 1 ? 0 : std::max(0.0, context_ - decodes_.top().context);
    decodes_.pop();
  }
  if (!prefills_.empty() && prefills_.front().remaining <= kHair) {
    const Prefill done = prefills_.front();
    prefills_.pop_front();
    if (prefills_.empty()) queued_prompt_tokens_ = 0;
    happened.push_back({.request = done.request, .at = at_});
    if (done.output_tokens <= 1) {
      happened.push_back({.request = done.request, .at = at_, .is_end = true});
      return;
    }
    decodes_.push({.end_step = steps_ + done.output_tokens - 1,
                   .request = done.request,
                   .context = static_cast<double>(done.input_tokens) + done.output_tokens});
    context_ += done.input_tokens + 1;
  }
}

void SimReplica::Fail(std::vector<std::uint32_t>& begun, std::vector<std::uint32_t>& waiting) {
  for (const Prefill& prefill : prefills_) waiting.push_back(prefill.request);
  for (; !decodes_.empty(); decodes_.pop()) begun.push_back(decodes_.top().request);
  prefills_.clear();
  queued_prompt_tokens_ = 0;
  context_ = 0;
}

}  // namespace penstock::plan
