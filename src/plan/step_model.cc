#include "plan/step_model.h"

namespace penstock::plan {

double StepModel::DecodeSeconds(double sequences) const {
  if (sequences <= 0 || decode.empty()) return 0;
  if (decode.size() == 1) return decode[0].seconds;
  std::size_t right = 1;
  while (right + 1 < decode.size() && decode[right].sequences < sequences) ++right;
  const Decode& a = decode[right - 1];
  const Decode& b = decode[right];
  const double slope = (b.seconds - a.seconds) / (b.sequences - a.sequences);
  const double seconds = a.seconds + slope * (sequences - a.sequences);
  return seconds > 0 ? seconds : 0;
}

StepModel ModelOf(const policy::StepTimes& step, int step_tokens_max) {
  return {.decode = {{.sequences = 0, .seconds = step.fixed_s},
                     {.sequences = 1, .seconds = step.fixed_s + step.per_decode_sequence_s}},
          .per_decode_cell_s = step.per_context_token_s,
          .prefill_pass_s = step.fixed_s,
          .shares_pass = true,
          .per_prefill_token_s = step.per_prefill_token_s,
          .step_tokens_max = step_tokens_max};
}

}  // namespace penstock::plan
