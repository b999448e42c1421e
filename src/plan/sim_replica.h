// SimReplica: one replica of a model as a simulation sees it: prompts are read in chunks beside the
// sequences that decode, and every step takes as long as the calibration's fit says.
//
// The composition of a batch is constant between two events, so a whole stretch of steps is one
// calculation: an event costs O(log of the batch), whatever the number of tokens. Times are seconds
// of the simulation. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <queue>
#include <vector>

#include "policy/calibration.h"

namespace penstock::plan {

class SimReplica {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  // `prefill_budget`: prompt tokens that one step takes in beside its decodes, at most; 1 or more.
  SimReplica(const policy::StepTimes& step, int prefill_budget)
      : step_(step), prefill_budget_(prefill_budget) {}

  struct Happening {
    std::uint32_t request = 0;
    double at = 0;
    bool is_end = false;  // Else the first token; a reply of one token has both.
  };

  // A request begins at `now`, not before the last event that Advance() gave.
  void Add(std::uint32_t request, int input_tokens, int output_tokens, double now);

  // When something happens next, if nothing is added; kNever while idle.
  double NextEvent() const;

  // Time passes until `now`, which must not lie behind NextEvent(). Appends what happened.
  void Advance(double now, std::vector<Happening>& happened);

  // Everything that is under way is lost. Appends those whose first token was sent to `begun`, the
  // others to `waiting`.
  void Fail(std::vector<std::uint32_t>& begun, std::vector<std::uint32_t>& waiting);

  bool idle() const { return prefills_.empty() && decodes_.empty(); }
  std::size_t in_flight() const { return prefills_.size() + decodes_.size(); }
  // Seconds in which there was work.
  double busy_s() const { return busy_s_; }

 private:
  struct Prefill {
    std::uint32_t request = 0;
    double remaining = 0;  // Prompt tokens.
    int input_tokens = 0;
    int output_tokens = 0;
  };
  struct Decode {
    double end_step = 0;
    std::uint32_t request = 0;
    double context = 0;  // Tokens at its end.
    bool operator>(const Decode& other) const {
      return end_step > other.end_step || (end_step == other.end_step && request > other.request);
    }
  };

  double Chunk() const;
  double StepSeconds() const;
  double UntilNext() const;

  policy::StepTimes step_;
  double prefill_budget_;
  double at_ = 0;
  double steps_ = 0;    // Since it began.
  double context_ = 0;  // Tokens of all decoding sequences.
  double queued_prompt_tokens_ = 0;
  std::deque<Prefill> prefills_;
  std::priority_queue<Decode, std::vector<Decode>, std::greater<>> decodes_;
  double busy_s_ = 0;
};

}  // namespace penstock::plan
