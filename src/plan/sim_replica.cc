#include "plan/sim_replica.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace penstock::plan {
namespace {

// As in the engine (engine/scheduler.cc): when a prompt is due, and the least piece of a further
// one.
constexpr double kDueFactor = 4;
constexpr double kDueMax = 60;
constexpr int kFragmentTokensMin = 32;
// A step takes some time, or an engine of no cost would never move on.
constexpr double kStepMin = 1e-9;

double CellsSeen(double position, double tokens) {
  return position * tokens + tokens * (tokens + 1) / 2;
}

}  // namespace

double SimReplica::Seconds(const Stretch& stretch) {
  const auto steps = static_cast<double>(stretch.steps);
  return stretch.once_s + steps * stretch.first_s + stretch.growth_s * steps * (steps - 1) / 2;
}

// Whole steps after which `seconds` have passed; 1 at least.
std::int64_t SimReplica::StepsUntil(const Stretch& stretch, double seconds) {
  seconds -= stretch.once_s;
  const double base = stretch.first_s - stretch.growth_s / 2;
  double steps = 0;
  if (stretch.growth_s > 0) {
    steps = (std::sqrt(base * base + 2 * stretch.growth_s * std::max(0.0, seconds)) - base) /
            stretch.growth_s;
  } else {
    steps = seconds / stretch.first_s;
  }
  // A hair below a whole number is that number.
  const double whole = std::ceil(steps - 1e-9);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(whole));
}

double SimReplica::AloneSeconds(const Request& request) const {
  return model_->prefill_pass_s + request.input_tokens * model_->per_prefill_token_s +
         CellsSeen(0, request.input_tokens) * model_->per_prefill_cell_s;
}

void SimReplica::Add(const Request& request, double now) {
  const double at_engine = now + model_->delay_s;
  const double ready = std::max(at_engine, reader_free_) + model_->overhead_s;
  reader_free_ = ready;
  const bool was_idle = idle();
  arrived_.push_back({.request = request, .ready = ready});
  if (was_idle) {
    between_steps_ = false;
    WakeAt(ready);
    TakeArrived();
    Plan();
    return;
  }
  if (at_engine <= at_ && DelaysStep()) {
    at_ = ready;
    TakeArrived();
    Plan();
    return;
  }
  Shorten();
}

// Whether the first request that comes with a step's end, as the next of somebody whose answer ends
// there, is read before the next step begins: where reading it takes the processor that the
// engine's thread would have. As measured with one processor to spare that is every other time.
bool SimReplica::DelaysStep() {
  if (model_->overhead_s <= 0 || !std::exchange(between_steps_, false)) return false;
  delays_ = !delays_;
  return delays_;
}

// The end of a pause.
void SimReplica::WakeAt(double ready) {
  if (ready - at_ >= StepModel::kWakeAfter) {
    waking_until_ = ready + StepModel::kWakeFor;
    waking_pace_ = DrawPace();
  }
  at_ = ready;
}

// One of two, as often as their mean asks for. Spread as evenly as draws can be, and the same each
// time.
double SimReplica::DrawPace() {
  const double mean = model_->wake_pace;
  const double high = model_->wake_pace_high;
  if (high <= mean || mean <= 1) return mean;
  constexpr double kGoldenShare = 0.6180339887498949;
  draw_ = std::fmod(draw_ + kGoldenShare, 1.0);
  return draw_ < (mean - 1) / (high - 1) ? high : 1;
}

// Slows the stretch down, and ends it where that ends.
void SimReplica::Pace() {
  if (at_ >= waking_until_ || waking_pace_ == 1) return;
  stretch_.once_s *= waking_pace_;
  stretch_.first_s *= waking_pace_;
  stretch_.growth_s *= waking_pace_;
  stretch_.steps = std::min(stretch_.steps, StepsUntil(stretch_, waking_until_ - at_));
}

bool SimReplica::full() const {
  const auto running = static_cast<int>(prefills_.size() + decodes_.size());
  return model_->slots > 0 && running >= model_->slots;
}

// What is ready at at_ waits for a slot, or has one and joins the prompts.
void SimReplica::TakeArrived() {
  const auto insert = [](std::vector<Prefill>& into, const Prefill& prefill) {
    into.insert(std::ranges::upper_bound(into, prefill.due, {}, &Prefill::due), prefill);
  };
  while (!arrived_.empty() && arrived_.front().ready <= at_ + 1e-12) {
    const Arrived& arrived = arrived_.front();
    insert(waiting_,
           {.request = arrived.request,
            .due = arrived.ready + std::min(kDueFactor * AloneSeconds(arrived.request), kDueMax),
            .position = arrived.request.cached_tokens});
    arrived_.pop_front();
  }
  std::size_t started = 0;
  for (; started < waiting_.size() && !full(); ++started) {
    waiting_[started].slot = slots_.Take();
    insert(prefills_, waiting_[started]);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(started));
}

// A stretch of steps ends where the first that comes can join.
void SimReplica::Shorten() {
  if (stretch_.steps <= 1 || arrived_.empty() || full()) return;
  stretch_.steps = std::min(stretch_.steps, StepsUntil(stretch_, arrived_.front().ready - at_));
}

int SimReplica::PrefillBudget(double decode_s) const {
  const int most = std::max(1, model_->step_tokens_max - static_cast<int>(decodes_.size()));
  if (model_->step_target_s <= 0) return most;
  const bool has_pass = !model_->shares_pass || decodes_.empty();
  const double left = model_->step_target_s - decode_s - (has_pass ? model_->prefill_pass_s : 0);
  double tokens = 0;
  const double cell = model_->per_prefill_cell_s;
  const double token = model_->per_prefill_token_s + cell * prefills_.front().position;
  if (left > 0) {
    tokens = most;
    if (cell > 0) {
      tokens = (std::sqrt(token * token + 2 * cell * left) - token) / cell;
    } else if (token > 0) {
      tokens = left / token;
    }
  }
  const int wanted =
      decodes_.empty() ? model_->prefill_tokens_alone_min : model_->prefill_tokens_min;
  const int least = std::min(wanted, most);
  // A hair below a whole number is that number.
  return std::clamp(static_cast<int>(std::min<double>(tokens + 1e-9, most)), least, most);
}

// What the step takes of the prompts, and how long that takes.
void SimReplica::PlanPrefill() {
  int budget = PrefillBudget(stretch_.once_s + stretch_.first_s);
  if (!model_->shares_pass || decodes_.empty()) stretch_.first_s += model_->prefill_pass_s;
  for (Prefill& prefill : prefills_) prefill.taken = 0;
  bool first = true;
  for (Prefill& prefill : prefills_) {
    const int left = std::max(1, prefill.request.input_tokens) - prefill.position;
    const int taken = std::min(left, budget);
    if (taken == 0 || (!first && taken < left && taken < kFragmentTokensMin)) break;
    first = false;
    prefill.taken = taken;
    budget -= taken;
    stretch_.first_s += taken * model_->per_prefill_token_s +
                        CellsSeen(prefill.position, taken) * model_->per_prefill_cell_s;
    if (model_->splits_equally && !decodes_.empty()) {
      stretch_.first_s -= model_->DecodeSeconds(rows_.count, rows_.looked_at);
      rows_.count += 1;
      stretch_.first_s += model_->DecodeSeconds(rows_.count, rows_.looked_at);
    }
  }
}

SimReplica::Rows SimReplica::RowsOfDecodes() const {
  Rows rows{.count = static_cast<double>(decodes_.size())};
  int first = decodes_.front().slot;
  int last = first;
  for (const Decode& decode : decodes_) {
    rows.longest =
        std::max(rows.longest, decode.cells - static_cast<double>(decode.end_step - steps_));
    first = std::min(first, decode.slot);
    last = std::max(last, decode.slot);
  }
  const SimSlots::Holes holes = slots_.Between(first, last);
  rows.count += holes.count;
  rows.longest = std::max(rows.longest, holes.cells);
  const double block = model_->cell_block;
  rows.looked_at = std::ceil(rows.longest / block) * block;
  return rows;
}

// A stretch of steps until the first sequence ends, or until the longest needs another block.
void SimReplica::PlanDecode() {
  if (decodes_.empty()) return;
  const auto sequences = static_cast<double>(decodes_.size());
  const std::int64_t until_end = decodes_.front().end_step - steps_;
  stretch_.steps = until_end;
  if (model_->cell_block > 1) {
    rows_ = RowsOfDecodes();
    stretch_.steps =
        std::min(until_end, static_cast<std::int64_t>(rows_.looked_at - rows_.longest) + 1);
  } else {
    rows_ = {.count = sequences, .looked_at = cells_ / sequences};
    stretch_.growth_s = model_->DecodeCells(sequences, 1) * model_->per_decode_cell_s;
  }
  stretch_.first_s = model_->DecodeSeconds(rows_.count, rows_.looked_at);
  // Without blocks a cell more is no other batch.
  const bool same_batch = rows_.count == last_rows_.count &&
                          (model_->cell_block <= 1 || rows_.looked_at == last_rows_.looked_at);
  if (!prefills_.empty() || !same_batch) stretch_.once_s = model_->new_batch_s;
}

void SimReplica::Plan() {
  stretch_ = {};
  if (prefills_.empty() && decodes_.empty()) return;
  PlanDecode();
  if (!prefills_.empty()) {
    stretch_.steps = 1;
    PlanPrefill();
  }
  stretch_.first_s = std::max(stretch_.first_s, kStepMin);
  Pace();
  Shorten();
}

void SimReplica::FinishPrefills(std::vector<Happening>& happened) {
  for (Prefill& prefill : prefills_) {
    prefill.position += std::exchange(prefill.taken, 0);
    const Request& request = prefill.request;
    if (prefill.position < std::max(1, request.input_tokens)) continue;
    happened.push_back({.request = request.id, .at = at_});
    if (request.output_tokens <= 1) {
      happened.push_back({.request = request.id, .at = at_, .is_end = true});
      slots_.Free(prefill.slot, prefill.position);
      continue;
    }
    decodes_.push_back({.end_step = steps_ + request.output_tokens - 1,
                        .request = request.id,
                        .cells = static_cast<double>(request.input_tokens) + request.output_tokens,
                        .slot = prefill.slot});
    std::ranges::push_heap(decodes_, std::greater<>());
    cells_ += request.input_tokens + 1;
  }
  std::erase_if(prefills_, [](const Prefill& prefill) {
    return prefill.position >= std::max(1, prefill.request.input_tokens);
  });
}

void SimReplica::Advance(std::vector<Happening>& happened) {
  if (idle()) return;
  const double seconds = Seconds(stretch_);
  at_ += seconds;
  between_steps_ = true;
  busy_s_ += seconds;
  steps_ += stretch_.steps;
  last_rows_ = prefills_.empty() ? rows_ : Rows{};
  cells_ += static_cast<double>(stretch_.steps) * static_cast<double>(decodes_.size());
  while (!decodes_.empty() && decodes_.front().end_step <= steps_) {
    const Decode ended = decodes_.front();
    std::ranges::pop_heap(decodes_, std::greater<>());
    decodes_.pop_back();
    slots_.Free(ended.slot, ended.cells);
    happened.push_back({.request = ended.request, .at = at_, .is_end = true});
    cells_ = decodes_.empty() ? 0 : std::max(0.0, cells_ - ended.cells);
  }
  FinishPrefills(happened);
  // Nothing but what has not come yet: the engine sleeps until then.
  if (prefills_.empty() && decodes_.empty() && !arrived_.empty() && arrived_.front().ready > at_) {
    WakeAt(arrived_.front().ready);
  }
  TakeArrived();
  Plan();
}

void SimReplica::Fail(double now, std::vector<std::uint32_t>& begun,
                      std::vector<std::uint32_t>& waiting) {
  if (!idle()) busy_s_ += std::max(0.0, now - at_);
  for (const Arrived& arrived : arrived_) waiting.push_back(arrived.request.id);
  for (const Prefill& prefill : waiting_) waiting.push_back(prefill.request.id);
  for (const Prefill& prefill : prefills_) waiting.push_back(prefill.request.id);
  std::ranges::sort(decodes_, {}, [](const Decode& decode) {
    return std::pair(decode.end_step, decode.request);
  });
  for (const Decode& decode : decodes_) begun.push_back(decode.request);
  decodes_.clear();
  arrived_.clear();
  waiting_.clear();
  prefills_.clear();
  cells_ = 0;
  slots_ = SimSlots(model_->splits_equally ? model_->slots : 0);
  stretch_ = {};
  last_rows_ = {};
}

}  // namespace penstock::plan
