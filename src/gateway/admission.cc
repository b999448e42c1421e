#include "gateway/admission.h"

namespace penstock::gateway {

void Admission::Produced(const StreamCount& count, TimePoint now) {
  const std::uint64_t tokens = count.text_events;
  // A first event may tell the role alone; calls of tools are no text.
  if (!begun_ && held() && (tokens > 0 || count.events > 2)) {
    begun_ = true;
    pool_->Begun(grant_, now);
  }
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
