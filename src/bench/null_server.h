// NullServer: a model server inside the program that makes nothing and knows the truth: when each
// request reached it and when each of its tokens left. For the self-test.
//
// On a thread of its own, on loopback, for as long as it lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/exchange.h"
#include "http/server.h"
#include "io/epoll/epoll_loop.h"
#include "io/event.h"

namespace penstock::bench {

struct NullServerSettings {
  Duration first_token = std::chrono::milliseconds(50);
  Duration first_token_spread = std::chrono::milliseconds(500);  // Evenly over the streams.
  Duration gap = std::chrono::milliseconds(50);
};

// What truly happened to one request; monotonic clock.
struct NullTruth {
  TimePoint arrived{};
  std::vector<TimePoint> written{};  // Just before each token's write.
};

class NullServer {
 public:
  explicit NullServer(NullServerSettings settings) : settings_(settings), end_(loop_) {}
  ~NullServer();
  NullServer(const NullServer&) = delete;
  NullServer& operator=(const NullServer&) = delete;

  // Listens and serves. Errors: those of listening.
  Status Start();
  std::string url() const;

  // By the first twelve characters of each prompt: its salt. Once the requests have ended.
  std::unordered_map<std::string, NullTruth> TakeTruth();

 private:
  static io::Task<void> Serve(NullServer& server, std::unique_ptr<io::Listener> listener);
  static io::Task<void> Answer(NullServer& server, http::Exchange& exchange);
  io::Task<void> Stream(http::Exchange& exchange, std::string salt, int tokens);

  NullServerSettings settings_;
  io::EpollLoop loop_;
  io::Event end_;
  std::uint16_t port_ = 0;
  std::uint64_t streams_ = 0;
  std::mutex mutex_;  // Guards truth_, taken once a request.
  std::unordered_map<std::string, NullTruth> truth_;
  std::jthread thread_;
};

}  // namespace penstock::bench
