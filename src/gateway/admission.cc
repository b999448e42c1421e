#include "gateway/admission.h"

namespace penstock::gateway {

void Admission::Produced(std::uint64_t tokens, TimePoint now) {
  if (tokens - reported_ < kBatchTokens && now - reported_at_ < kBatchTime) return;
  if (!held() || tokens == reported_) return;
  reported_ = tokens;
  reported_at_ = now;
  const policy::TokenCounts so_far{.input = grant_.estimate.input_tokens,
                                   .output = static_cast<std::int64_t>(tokens)};
  pool_->Progress(grant_, policy::Cost(so_far, weights_), now);
}

void Admission::End(const policy::Ending& ending, TimePoint now) {
  if (!held()) return;
  pool_->Finish(std::move(grant_), ending, now);
}

}  // namespace penstock::gateway
