// batch_engine: a fake engine of known speed: continuous batching, one step after the other.
//
//   batch_engine port=0 slots=128 prefill_tokens=2048 cost_per_s=36000 output_weight=5
//                step_fixed_us=5000 speed=1
// A step prefills up to `prefill_tokens` of prompts, oldest first, and gives every sequence that
// decodes one token. It takes step_fixed_us, and (prefilled + output_weight * decoding) /
// cost_per_s seconds, divided by `speed`. Requests beyond `slots` wait, first come, first served. A
// prompt has a token for every four bytes of the body; "x_output_tokens" in it says how many tokens
// the answer has. Prints
// {"port":N} when it listens, and when SIGTERM ends it {"slower":S}: by which share its steps came
// late, for want of a processor: such an engine is slower than it was told to be.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <deque>
#include <memory>
#include <vector>

#include "answers.h"
#include "http_message.h"
#include "line_socket.h"
#include "words.h"

namespace measure {
namespace {

volatile std::sig_atomic_t stop = 0;

struct EngineOptions {
  std::size_t slots = 128;
  double prefill_tokens = 2048;
  double cost_per_s = 36'000;
  double step_fixed_s = 0.005;
  double output_weight = 5;
  double speed = 1;
};

class BatchEngine final : public Readiness {
 public:
  BatchEngine(Poller& poller, std::uint16_t port, EngineOptions options)
      : poller_(poller), options_(options), listener_(ListenOnLoopback(port)) {
    poller_.Watch(listener_, EPOLLIN, this);
  }
  std::uint16_t port() const { return PortOf(listener_); }

  void OnReady(std::uint32_t /*events*/) override {
    for (Socket socket = Accept(listener_); socket.valid(); socket = Accept(listener_)) {
      if (idle_.empty()) {
        connections_.push_back(std::make_unique<Connection>(*this));
        idle_.push_back(connections_.back().get());
      }
      Connection* const connection = idle_.back();
      idle_.pop_back();
      connection->input.clear();
      connection->Open(std::move(socket), false);
    }
  }

  // Does the steps that are due. Returns how long to sleep.
  Nanoseconds Run() {
    const Nanoseconds now = Now();
    if (!Working()) {
      step_ends_ = now;
      return std::chrono::milliseconds(100);
    }
    // Falls behind at most one step: it is a slower engine then, not one that catches up.
    if (now >= step_ends_) {
      const Nanoseconds late = now - step_ends_;
      lost_ += std::max(late - last_step_, Nanoseconds{});
      step_ends_ = std::max(step_ends_, now - last_step_) + Step();
      worked_ += last_step_;
    }
    return step_ends_ - Now();
  }

  // Time that was lost for good, over the time that its steps should take.
  double slower() const {
    return worked_ > Nanoseconds{}
               ? static_cast<double>(lost_.count()) / static_cast<double>(worked_.count())
               : 0;
  }

 private:
  class Connection final : public LineSocket {
   public:
    explicit Connection(BatchEngine& engine) : LineSocket(engine.poller_), engine_(engine) {}
    std::string input;
    bool busy = false;  // A sequence runs or waits.
    bool with_usage = false;
    double prompt_left = 0;
    long prompt_tokens = 0;
    long output_left = 0;
    long output_sent = 0;

   private:
    void OnBytes(std::string_view bytes) override {
      input += bytes;
      while (const auto request = ParseRequest(input)) {
        engine_.Begin(*this, *request);
        input.erase(0, request->size);
      }
    }
    void OnClosed() override { engine_.Drop(*this); }
    BatchEngine& engine_;
  };

  bool Working() const { return !running_.empty() || !waiting_.empty(); }

  void Begin(Connection& connection, const Request& request) {
    if (request.method != "POST") {
      connection.Send(JsonAnswer("200 OK", R"({"status":"ok"})"));
      return;
    }
    connection.busy = true;
    connection.with_usage = JsonTrue(request.body, "include_usage");
    connection.prompt_tokens = static_cast<long>(request.body.size() / 4);
    connection.prompt_left = static_cast<double>(connection.prompt_tokens);
    connection.output_left = std::max(1L, JsonNumber(request.body, "x_output_tokens").value_or(16));
    connection.output_sent = 0;
    waiting_.push_back(&connection);
  }

  void Drop(Connection& connection) {
    connection.busy = false;
    std::erase(waiting_, &connection);
    std::erase(running_, &connection);
    idle_.push_back(&connection);
  }

  // One step: returns how long it takes.
  Nanoseconds Step() {
    while (!waiting_.empty() && running_.size() < options_.slots) {
      running_.push_back(waiting_.front());
      waiting_.pop_front();
    }
    double prefilled = 0;
    double decoding = 0;
    static const std::string token = TokenEvents(1);
    const std::vector<Connection*> step = running_;
    for (Connection* const one : step) {
      if (one->prompt_left > 0) {
        const double part = std::min(one->prompt_left, options_.prefill_tokens - prefilled);
        one->prompt_left -= part;
        prefilled += part;
        if (one->prompt_left > 0) continue;
        one->Send(StreamHead());
      }
      decoding += 1;
      one->Send(token);
      ++one->output_sent;
      if (--one->output_left > 0) continue;
      one->Send(StreamEnd(one->with_usage, one->prompt_tokens, one->output_sent));
      one->busy = false;
      std::erase(running_, one);
    }
    const double cost = prefilled + options_.output_weight * decoding;
    const double seconds = (options_.step_fixed_s + cost / options_.cost_per_s) / options_.speed;
    last_step_ = Nanoseconds(static_cast<long>(seconds * 1e9));
    return last_step_;
  }

  Poller& poller_;
  EngineOptions options_;
  Socket listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  std::deque<Connection*> waiting_;
  std::vector<Connection*> running_;
  Nanoseconds step_ends_{};
  Nanoseconds last_step_{};
  Nanoseconds lost_{};
  Nanoseconds worked_{};
};

}  // namespace
}  // namespace measure

int main(int count, char** arguments) {
  measure::Words words = measure::Words::FromArguments(count, arguments);
  measure::EngineOptions options;
  const auto port = static_cast<std::uint16_t>(words.TakeNumber("port", 0));
  options.slots = static_cast<std::size_t>(words.TakeNumber("slots", 128));
  options.prefill_tokens = static_cast<double>(words.TakeNumber("prefill_tokens", 2048));
  options.cost_per_s = static_cast<double>(words.TakeNumber("cost_per_s", 36'000));
  options.step_fixed_s = static_cast<double>(words.TakeNumber("step_fixed_us", 5000)) / 1e6;
  options.output_weight = static_cast<double>(words.TakeNumber("output_weight", 5));
  options.speed = static_cast<double>(words.TakeNumber("speed", 1));
  words.CheckAllTaken();
  std::signal(SIGTERM, [](int) { measure::stop = 1; });
  measure::RaiseDescriptorLimit();
  measure::Poller poller;
  measure::BatchEngine engine(poller, port, options);
  fmt::print("{{\"port\":{}}}\n", engine.port());
  std::fflush(stdout);
  while (measure::stop == 0) poller.Poll(engine.Run());
  fmt::print("{{\"slower\":{:.4f}}}\n", engine.slower());
  std::fflush(stdout);
  return 0;
}
