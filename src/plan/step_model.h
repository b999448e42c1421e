// StepModel: how long the steps of an engine take, as a function of what is in them. Pure.
//
// A step decodes one token of each running sequence and reads prompt tokens beside them. Decoding
// takes what was measured for so many sequences, and a little for every cell they look at; prompts
// take a pass of their own where the engine makes one, a time for each token, and a little for
// every cell. For a while after a sleep all steps are slower: caches are cold, and a virtual
// processor wakes up wherever there is room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/calibration.h"

namespace penstock::plan {

struct StepModel {
  // Seconds of a pass that decodes `sequences` without looking at cells.
  struct Decode {
    double sequences = 1;
    double seconds = 0;
    bool operator==(const Decode&) const = default;
  };
  std::vector<Decode> decode{};  // In order; between two it is linear, beyond the last as before.
  double per_decode_cell_s = 0;
  double first_cell_share = 1;  // Of a cell's time, for the first of a step's sequences.
  int cell_block = 1;           // Above 1: each looks at as many whole blocks as the longest needs.
  double prefill_pass_s = 0;    // Of a step that reads prompts.
  bool shares_pass = false;     // One pass for both: prefill_pass_s only where nothing decodes.
  double per_prefill_token_s = 0;
  double per_prefill_cell_s = 0;
  // Of a pass that decodes other sequences than the pass before it did: llama.cpp lays its graph
  // out anew.
  double new_batch_s = 0;
  double delay_s = 0;     // Of a request, on its way to the engine.
  double overhead_s = 0;  // Then of reading it, one after another, before it can join a step.
  double wake_pace = 1;   // Steps take so many times as long for kWakeFor after a sleep.
  // Above wake_pace: that is the mean of two paces, this one and 1, of which each sleep's end has
  // one.
  double wake_pace_high = 0;

  // As llama.cpp splits a step: all of its sequences together first, a token each. So a free slot
  // in between costs as much as a sequence that decodes, and so does a prompt beside such.
  bool splits_equally = false;

  // How the engine fills a step: its own defaults (engine/scheduler.h).
  int slots = 0;                // Sequences that run at once, others wait; 0: as many as come.
  double step_target_s = 0;     // A step takes no longer for a prompt's sake; 0: it may.
  int step_tokens_max = 512;    // 1 or more.
  int prefill_tokens_min = 64;  // Of a step that decodes, whatever its target.
  int prefill_tokens_alone_min = 256;  // Where nothing decodes.

  bool operator==(const StepModel&) const = default;

  // Seconds: so long without work is a sleep, and for so long its end is felt.
  static constexpr double kWakeAfter = 0.03;
  static constexpr double kWakeFor = 1;

  // 0 for no sequences.
  double DecodeSeconds(double sequences) const;
  // Cells that so many sequences look at, each at `each`, as far as they take time.
  double DecodeCells(double sequences, double each) const {
    return sequences > 0 ? (sequences - 1 + first_cell_share) * each : 0;
  }
  // Of both.
  double DecodeSeconds(double sequences, double each) const {
    return DecodeSeconds(sequences) + DecodeCells(sequences, each) * per_decode_cell_s;
  }
};

// The same of a linear fit: one pass for both.
StepModel ModelOf(const policy::StepTimes& step, int step_tokens_max);

}  // namespace penstock::plan
