// Inbox: brings the engine's events from the model's thread to the requests that wait for them.
//
// One post to the loop per step, whatever the number of requests. All on the loop's thread but
// Sink().
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "io/event.h"
#include "io/loop.h"

namespace penstock::engine {

// An event, and which of a request's choices (or inputs) it is about.
struct ChoiceEvent {
  std::size_t choice = 0;
  Event event;
};

// Where one HTTP request waits for its generations.
class Mailbox {
 public:
  explicit Mailbox(io::Loop& loop) : ready_(loop) {}

  // Completes when events have come. Errors: kCancelled.
  io::Event::WaitOp Wait() { return ready_.Wait(Deadline::Never()); }
  // What has come since the last call.
  std::vector<ChoiceEvent> Take();

 private:
  friend class Inbox;
  io::Event ready_;
  std::vector<ChoiceEvent> events_;
};

class Inbox {
 public:
  // The loop outlives the engine that the sink is given to; so does the inbox.
  explicit Inbox(io::Loop& loop) : loop_(loop) {}

  EventSink Sink();

  // Events of `id` go to `mailbox` as `choice`. Call right after Submit, before anything is
  // awaited.
  void Open(RequestId id, Mailbox& mailbox, std::size_t choice);
  // No event reaches the mailbox afterwards.
  void Close(RequestId id);

 private:
  struct Place {
    Mailbox* mailbox;  // Borrowed; closed before it goes.
    std::size_t choice;
  };
  void Deliver(std::vector<Event> events);

  io::Loop& loop_;
  std::unordered_map<RequestId, Place> places_;
};

// The generations of one HTTP request: whichever way it is left, what still runs is cancelled.
class RunningRequests {
 public:
  RunningRequests(Engine& engine, Inbox& inbox, Mailbox& mailbox)
      : engine_(engine), inbox_(inbox), mailbox_(mailbox) {}
  ~RunningRequests();
  RunningRequests(const RunningRequests&) = delete;
  RunningRequests& operator=(const RunningRequests&) = delete;

  // Errors: those of Engine::Submit and Embed.
  Status Submit(GenerationRequest request);
  Status Embed(std::vector<TokenId> prompt);

  std::size_t size() const { return ids_.size(); }

 private:
  Status Take(Result<RequestId> id);

  Engine& engine_;
  Inbox& inbox_;
  Mailbox& mailbox_;
  std::vector<RequestId> ids_;
};

}  // namespace penstock::engine
