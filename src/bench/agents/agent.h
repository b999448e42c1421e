// Agent: a load machine: sends its part of the load that a coordinator orders, and gives back the
// records. The HTTP side of agent_protocol.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"
#include "bench/agents/agent_protocol.h"
#include "bench/drive/load.h"
#include "bench/drive/prepare.h"
#include "http/exchange.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/task.h"

namespace penstock::bench {

// One session at a time. On its loop's thread, but for the load itself, which has threads of its
// own.
class Agent {
 public:
  // `key`: what a coordinator must show as a bearer token; "" lets everybody in, so that the agent
  // must listen on loopback only.
  Agent(io::Loop& loop, std::string key) : loop_(loop), key_(std::move(key)) {}
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  http::Handler handler() {
    return [this](http::Exchange& exchange) { return Answer(*this, exchange); };
  }

  // Refuses an address that others than this machine reach, where there is no key, or one so short
  // that it could be guessed. Errors: kInvalidArgument naming "listen" or "agent-key".
  static Status CheckListen(const io::Address& address, const std::string& key);

 private:
  struct Session;
  class Outbox;

  static io::Task<void> Answer(Agent& agent, http::Exchange& exchange);
  io::Task<Result<std::string>> Dispatch(std::string path, std::string body);
  // Runs `work` on a thread of its own, and completes with what it gives. A coordinator that goes
  // away stops the session.
  io::Task<Result<std::string>> OffLoop(std::function<Result<std::string>()> work);
  Result<std::string> Open(const std::string& body);
  Result<std::string> Fit();
  Result<std::string> Learn(const std::string& body);
  // Answers with the level's records as they come in.
  io::Task<void> StreamLevel(http::Exchange& exchange, std::string body);
  Status EndLevel(const std::string& body);
  Result<LevelRecord> RunLevel(const LevelOrder& order, Outbox& outbox);

  io::Loop& loop_;
  std::string key_;
  std::shared_ptr<Session> session_;
  bool busy_ = false;
};

}  // namespace penstock::bench
