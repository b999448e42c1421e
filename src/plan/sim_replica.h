// SimReplica: one replica of a model as a simulation sees it: an engine that works in steps.
//
// As in the engine, a step decodes one token of every running sequence and fills what its target
// leaves with prompts, the one that is due first before the others; what arrives while a step runs
// joins the next one, or waits for a slot. Steps that only decode differ by the cells that they
// look at, so a whole stretch of them is one calculation: an event costs O(of the batch) at most,
// whatever the number of tokens. Times are seconds of the simulation. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "plan/sim_slots.h"
#include "plan/step_model.h"

namespace penstock::plan {

class SimReplica {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  // `model` is borrowed and outlives this.
  explicit SimReplica(const StepModel& model)
      : model_(&model), slots_(model.splits_equally ? model.slots : 0) {}

  struct Request {
    std::uint32_t id = 0;
    int input_tokens = 0;
    int output_tokens = 0;
    int cached_tokens = 0;  // Of the input: there already. Less than the input.
  };
  struct Happening {
    std::uint32_t request = 0;
    double at = 0;
    bool is_end = false;  // Else the first token; a reply of one token has both.
  };

  // A request comes at `now`, not before the last event.
  void Add(const Request& request, double now);

  // When something happens next, if nothing is added; kNever while idle.
  double NextEvent() const { return idle() ? kNever : at_ + Seconds(stretch_); }

  // Time passes until NextEvent(). Appends what happened.
  void Advance(std::vector<Happening>& happened);

  // Everything that is under way is lost. Appends those whose first token was sent to `begun`, the
  // others to `waiting`.
  void Fail(double now, std::vector<std::uint32_t>& begun, std::vector<std::uint32_t>& waiting);

  bool idle() const { return in_flight() == 0; }
  std::size_t in_flight() const {
    return arrived_.size() + waiting_.size() + prefills_.size() + decodes_.size();
  }
  // Seconds in which there was work.
  double busy_s() const { return busy_s_; }

 private:
  struct Arrived {
    Request request{};
    double ready = 0;  // The engine has it.
  };
  struct Prefill {
    Request request{};
    double due = 0;
    int position = 0;  // Tokens that are there.
    int taken = 0;     // In the step under way.
    int slot = -1;     // None, or none yet.
  };
  struct Decode {
    std::int64_t end_step = 0;
    std::uint32_t request = 0;
    double cells = 0;  // At its end.
    int slot = -1;
    bool operator>(const Decode& other) const {
      return end_step != other.end_step ? end_step > other.end_step : request > other.request;
    }
  };
  // Equal steps but for the cells, which grow by one for each sequence and step.
  struct Stretch {
    std::int64_t steps = 0;
    double once_s = 0;  // Before the first.
    double first_s = 0;
    double growth_s = 0;  // From one step to the next.
  };

  // What decoding sequences look at.
  struct Rows {
    double count = 0;      // Sequences, and holes between them.
    double longest = 1;    // Cells of the longest of them.
    double looked_at = 1;  // By each, in whole blocks.
  };

  static double Seconds(const Stretch& stretch);
  static std::int64_t StepsUntil(const Stretch& stretch, double seconds);
  bool full() const;  // Every slot is taken.
  bool DelaysStep();
  void WakeAt(double ready);
  double DrawPace();
  void Pace();
  void PlanDecode();
  Rows RowsOfDecodes() const;
  void TakeArrived();
  void Plan();
  void PlanPrefill();
  int PrefillBudget(double decode_s) const;
  void Shorten();
  void FinishPrefills(std::vector<Happening>& happened);
  double AloneSeconds(const Request& request) const;

  const StepModel* model_;  // Borrowed.
  double at_ = 0;           // The stretch's begin; it lies ahead while nothing is ready.
  Stretch stretch_{};
  Rows rows_{};                    // Of its first step.
  Rows last_rows_{};               // Of the last step, where it did nothing but decode.
  std::int64_t steps_ = 0;         // Since it began.
  double cells_ = 0;               // Of all decoding sequences, in the next step.
  bool between_steps_ = false;     // A step has ended at at_, and nothing has come since.
  bool delays_ = false;            // What DelaysStep() said last.
  double reader_free_ = 0;         // When the next request can be read.
  std::deque<Arrived> arrived_;    // For later steps.
  std::vector<Prefill> waiting_;   // For a slot. The one that is due first before the others.
  std::vector<Prefill> prefills_;  // In the same order.
  std::vector<Decode> decodes_;    // A heap: the one that ends first is at its front.
  SimSlots slots_;
  double waking_until_ = 0;  // Steps that begin before it are slower.
  double waking_pace_ = 1;   // So many times.
  double draw_ = 0;          // From 0 to 1, of the last draw.
  double busy_s_ = 0;
};

}  // namespace penstock::plan
