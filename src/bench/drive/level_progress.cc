#include "bench/drive/level_progress.h"

#include <fmt/format.h>

#include "bench/record/statistics.h"
#include "page/numbers.h"

namespace penstock::bench {

LevelProgress::LevelProgress(const LevelPlan& plan, TimePoint start, std::int64_t token_chunks)
    : begun_(start), window_at_(start), window_chunks_(token_chunks) {
  state_.level = plan.number;
  state_.levels = plan.levels;
  if (plan.schedule != nullptr) {
    state_.stage = plan.rate_per_s > 0 ? fmt::format("{} requests/s", page::Figure(plan.rate_per_s))
                                       : "schedule";
    state_.total = std::ssize(plan.schedule->dues) / plan.parts;
  } else {
    state_.stage = fmt::format("concurrency {}", plan.concurrency);
    state_.total = plan.duration.count() > 0 ? 0 : plan.warmup + plan.measured;
    state_.limit_s = Seconds(plan.duration);
  }
  if (plan.expected > 0) state_.total = plan.expected;
  if (!plan.note.empty()) state_.stage += fmt::format(" ({})", plan.note);
}

void LevelProgress::Add(const RequestRecord& record) {
  ++state_.done;
  if (record.failed()) ++state_.failed;
  if (record.first_token_ns != kNever) {
    ttft_ms_.push_back(static_cast<double>(record.first_token_ns - record.scheduled_ns) * 1e-6);
  }
}

const ProgressState& LevelProgress::At(TimePoint now, std::int64_t token_chunks) {
  state_.elapsed_s = Seconds(now - begun_);
  // The rate of the last second or more, so that it neither jumps nor lags.
  if (now - window_at_ >= std::chrono::seconds(1)) {
    state_.tokens_per_s =
        static_cast<double>(token_chunks - window_chunks_) / Seconds(now - window_at_);
    window_at_ = now;
    window_chunks_ = token_chunks;
    state_.ttft_p50_ms = Describe(ttft_ms_).p50;
  }
  return state_;
}

}  // namespace penstock::bench
