// A fake model on loopback, on a thread of its own, for as long as it lives: for tests of whole
// runs.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "bench/drive/fake_model.h"
#include "http/http_testing.h"
#include "io/epoll/epoll_loop.h"
#include "io/event.h"

namespace penstock::bench::testing {

class LoopbackModel {
 public:
  LoopbackModel() : model(loop_), end_(loop_) {
    model.ttft = std::chrono::milliseconds(5);
    model.gap = std::chrono::milliseconds(1);
    model.has_tokenizer = true;
  }
  ~LoopbackModel() {
    loop_.Post([this] { end_.Set(); });
    thread_.join();
  }

  // Starts it: afterwards `model` belongs to the server's thread.
  std::string Start() {
    thread_ = std::jthread([this] { io::RunBlocking(loop_, ServeUntil(model, port_, end_)); });
    port_.wait(0);
    return "http://127.0.0.1:" + std::to_string(port_);
  }

 private:
  static io::Task<void> ServeUntil(FakeModel& model, std::atomic<int>& port, io::Event& end) {
    http::testing::Site site(model.loop, model.handler());
    port = site.address.port;
    port.notify_one();
    static_cast<void>(co_await end.Wait(Deadline::Never()));
    co_await site.Close();
  }

  io::EpollLoop loop_;

 public:
  FakeModel model;

 private:
  io::Event end_;
  std::atomic<int> port_ = 0;
  std::jthread thread_;
};

}  // namespace penstock::bench::testing
