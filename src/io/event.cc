#include "io/event.h"

#include "io/loop.h"

namespace penstock::io {

void Event::Set() {
  set_ = true;
  while (waiters_ != nullptr) waiters_->Finish(Outcome::kDone);
}

void Event::WaitOp::Enlist() {
  next_ = event_.waiters_;
  link_ = &event_.waiters_;
  if (next_ != nullptr) next_->link_ = &next_;
  event_.waiters_ = this;
  if (!deadline_.IsNever()) event_.loop_.wheel().Arm(*this, deadline_.at());
}

void Event::WaitOp::Finish(Outcome outcome) {
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  Disarm();
  outcome_ = outcome;
  event_.loop_.Schedule(Complete());
}

}  // namespace penstock::io
