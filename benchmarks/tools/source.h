// Source: a fake model server that streams at a known pace and writes down when it truly sent what.
//
// One thread, on the caller's Poller. It keeps connections alive, answers /health and /v1/models,
// streams where a completion request says `"stream":true` and answers with a short JSON body where
// not.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "poller.h"
#include "socket.h"

namespace measure {

struct SourceOptions {
  enum class Pace {
    kGap,      // Each stream sends a write every `gap`, from its first token on.
    kRounds,   // All streams send a write every `gap`, one after the other, as engines step.
    kFlatOut,  // Round after round over all streams, as fast as they drain.
    kGrant,    // A stream sends one write for each Grant().
  };
  std::uint16_t port = 0;  // 0: the kernel chooses.
  Pace pace = Pace::kGrant;
  Nanoseconds gap{};
  // The first token comes this long after the request; streams spread evenly between the two
  // bounds.
  Nanoseconds first_token_min{};
  Nanoseconds first_token_max{};
  long tokens = 256;  // Where a request does not limit its tokens itself.
  int events_per_write = 1;
  bool keep_times = false;     // Log when each write left, too.
  std::FILE* truth = nullptr;  // Borrowed. Gets one JSON line for each stream that ended.
};

class Source final : public Readiness {
 public:
  Source(Poller& poller, SourceOptions options);
  ~Source();

  std::uint16_t port() const { return port_; }

  // Sends what is due. Returns how long nothing more will be.
  Nanoseconds SendDue();

  // For kGrant: lets stream `number`, from the request's `"user":"stream-NUMBER"`, send `events` in
  // one write.
  void Grant(int number, int events);

  // Token events sent so far, by all streams.
  long tokens_sent() const { return tokens_sent_; }

  // Ends every stream as a finished completion does.
  void FinishAll();

  void OnReady(std::uint32_t events) override;  // A connection waits to be accepted.

 private:
  class Connection;
  struct Due {
    Nanoseconds at;
    Connection* connection;
    std::uint64_t stream;
    bool operator>(const Due& other) const { return at > other.at; }
  };

  Nanoseconds FirstTokenDelay();
  Nanoseconds SendRound();
  bool SendToAll();
  void Answer(Connection& connection, const struct Request& request);
  void StartStream(Connection& connection, const struct Request& request);
  void WriteTruth(const Connection& connection);

  Poller& poller_;
  const SourceOptions options_;
  const std::string write_;    // The bytes of one paced write.
  std::string granted_write_;  // The bytes of the last granted write, and its events.
  int granted_events_ = 0;
  Socket listener_;
  std::uint16_t port_;
  // Slots are reused, never freed: stale readiness and due times may still name them.
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_slots_;
  std::unordered_map<int, Connection*> by_number_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  Nanoseconds next_round_{};  // kRounds.
  std::uint64_t streams_started_ = 0;
  long tokens_sent_ = 0;
};

}  // namespace measure
