#include "engine/face/inbox.h"

#include <utility>

namespace penstock::engine {

std::vector<ChoiceEvent> Mailbox::Take() {
  ready_.Reset();
  return std::exchange(events_, {});
}

EventSink Inbox::Sink() {
  return [this](std::vector<Event> events) {
    loop_.Post([this, events = std::move(events)]() mutable { Deliver(std::move(events)); });
  };
}

void Inbox::Open(RequestId id, Mailbox& mailbox, std::size_t choice) {
  places_.emplace(id, Place{&mailbox, choice});
}

void Inbox::Close(RequestId id) { places_.erase(id); }

void Inbox::Deliver(std::vector<Event> events) {
  for (Event& event : events) {
    const auto place = places_.find(event.id);
    if (place == places_.end()) continue;  // Its client has gone.
    Mailbox& mailbox = *place->second.mailbox;
    mailbox.events_.push_back({place->second.choice, std::move(event)});
    mailbox.ready_.Set();
  }
}

RunningRequests::~RunningRequests() {
  for (const RequestId id : ids_) {
    inbox_.Close(id);
    engine_.Cancel(id);  // Nothing happens where it has finished.
  }
}

Status RunningRequests::Submit(GenerationRequest request) {
  return Take(engine_.Submit(std::move(request)));
}

Status RunningRequests::Embed(std::vector<TokenId> prompt) {
  return Take(engine_.Embed(std::move(prompt)));
}

Status RunningRequests::Take(Result<RequestId> id) {
  if (!id) return Fail(id.error());
  inbox_.Open(*id, mailbox_, ids_.size());
  ids_.push_back(*id);
  return {};
}

}  // namespace penstock::engine
