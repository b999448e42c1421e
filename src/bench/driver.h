// Driver: one thread's workers of a closed loop. Each sends a request, reads the answer to its end,
// and sends the next.
//
// Runs on the thread of its loop, real or simulated. Event times are the kernel's receive stamps
// where there are any. Nothing but reading happens while streams run: a record is handed over when
// its request has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/endpoint.h"
#include "bench/record.h"
#include "bench/workload.h"
#include "http/client.h"
#include "http/origin.h"
#include "io/loop.h"
#include "io/task.h"
#include "io/task_scope.h"

namespace penstock::bench {

// The requests of one level, handed out in order to the workers of all threads.
class Tickets {
 public:
  struct Ticket {
    std::uint64_t id = 0;
    Phase phase = Phase::kMeasured;
  };

  // `warmup` requests, then `measured` ones, with ids from `first_id` on.
  Tickets(std::uint64_t first_id, int warmup, int measured)
      : first_id_(first_id), warmup_(warmup), total_(warmup + measured) {}

  // Any thread. None once all are taken, or after Close().
  std::optional<Ticket> Take();
  // Any thread: hands out no more.
  void Close() { taken_.store(total_, std::memory_order_relaxed); }

 private:
  const std::uint64_t first_id_;
  const int warmup_;
  const int total_;
  std::atomic<int> taken_ = 0;
};

struct DriverSettings {
  Endpoint endpoint;
  http::Origin origin;
  std::string model;
  std::string api_key;  // "" sends no authorization.
  Enforcement enforcement;
  int input_tokens = kReferenceInputTokens;
  int output_tokens = kReferenceOutputTokens;
  bool streamed = true;
  Duration timeout = std::chrono::minutes(10);  // Of a request, from connecting to its last byte.
  int workers_max = 1;                          // Of this driver: so many connections are kept.
  TimePoint start;                              // What the times in records count from.
};

class Driver {
 public:
  // Told each finished request, on the loop's thread.
  using OnRecord = std::function<void(RequestRecord)>;

  // Everything is on `loop`, which outlives the driver.
  Driver(io::Loop& loop, DriverSettings settings, PromptPool pool, OnRecord on_record);

  // Runs `workers` workers until all tickets are taken and answered, or Stop(). `tickets` must
  // outlive the call. One level at a time.
  io::Task<void> RunLevel(Tickets& tickets, int concurrency, int workers);

  // Runs `task`, which uses this driver, so that Stop() cancels it.
  io::Task<void> RunStoppable(io::Task<void> task);

  // Sends one request by itself, to fit prompts. Its record, of Phase::kFit, is told like any
  // other.
  io::Task<RequestRecord> Ask(std::uint64_t id, const Prompt& prompt, int output_tokens);

  // What the same server answers to a JSON body at another path. Errors: the transport's; kUpstream
  // for a status other than 200.
  io::Task<Result<std::string>> Post(const std::string& target, const std::string& body);

  // Ends what runs, and whatever would run later: requests under way become records with
  // ErrorKind::kCancelled.
  void Stop();

  // Ends the requests under way likewise, once the level's tickets are closed; the driver goes on.
  void Cut();

  PromptPool& pool() { return pool_; }
  DriverSettings& settings() { return settings_; }
  io::Loop& loop() { return loop_; }
  // Token chunks read so far. Any thread.
  std::int64_t token_chunks() const { return token_chunks_.load(std::memory_order_relaxed); }

 private:
  static io::Task<void> Work(Driver& driver, Tickets& tickets, int concurrency);
  io::Task<void> Exchange(std::string body, RequestRecord& record);
  io::Task<void> ReadReply(http::ClientResponse& response, RequestRecord& record,
                           Deadline deadline);
  http::Request Describe(const std::string& target, const std::string& body) const;
  std::int64_t Since(TimePoint at) const { return (at - settings_.start).count(); }

  io::Loop& loop_;
  DriverSettings settings_;
  PromptPool pool_;
  OnRecord on_record_;
  std::string authorization_;
  std::vector<http::Field> fields_;  // Views into authorization_.
  http::Client client_;
  io::TaskScope* running_ = nullptr;  // Borrowed from RunLevel or RunStoppable while it runs.
  bool stopped_ = false;
  std::atomic<std::int64_t> token_chunks_ = 0;
};

}  // namespace penstock::bench
