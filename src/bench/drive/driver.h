// Driver: one thread's requests: the workers of a closed loop, or the arrivals of an open one.
//
// Runs on the thread of its loop, real or simulated. Event times are the kernel's receive stamps
// where there are any. Nothing but reading happens while streams run: a record is handed over when
// its request has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/drive/endpoint.h"
#include "bench/drive/lag_meter.h"
#include "bench/drive/spending.h"
#include "bench/record/record.h"
#include "bench/schedule/schedule.h"
#include "bench/schedule/tickets.h"
#include "bench/workload/composer.h"
#include "http/client.h"
#include "http/origin.h"
#include "io/loop.h"
#include "io/task.h"
#include "io/task_scope.h"

namespace penstock::bench {

struct DriverSettings {
  Endpoint endpoint;
  http::Origin origin;
  std::string model;
  std::string api_key;  // "" sends no authorization.
  KeyField key_field = KeyField::kBearer;
  std::vector<std::pair<std::string, std::string>> headers;  // Sent with each request.
  Enforcement enforcement;
  bool streamed = true;
  Duration timeout = std::chrono::minutes(10);  // Of a request, from connecting to its last byte.
  Duration stall_timeout{};                     // Between two reads of an answer. 0: no limit.
  int workers_max = 1;                          // Of this driver: so many connections are kept.
  int in_flight_max = 0;   // Of this driver in an open loop; what is due then waits. 0: no limit.
  bool keep_text = false;  // Hand over what was said, for a tokenizer.
  int agent = 0;           // Stands in the records.
  TimePoint start;         // What the times in records count from.
  std::shared_ptr<Spending> spending = std::make_shared<Spending>();  // Shared by all drivers.
};

// What a request said and was told, for a tokenizer; empty unless DriverSettings::keep_text.
struct Texts {
  Messages input;
  std::string output;
};

// What stands in the records of one level.
struct LevelMark {
  int number = 1;
  int concurrency = 0;  // 0: an open loop.
  TimePoint start;      // What Tickets and Schedule count from.
};

// One driver's part of an open loop's level.
struct OpenLevel {
  const Schedule* schedule = nullptr;  // Outlives the level.
  int part = 0;                        // This one of ...
  int parts = 1;                       // ... so many equal parts.
  std::uint64_t first_id = 0;
  LevelTimes times{};
  std::atomic<bool>* closed = nullptr;  // Set: send no more.
};

class Driver {
 public:
  // Told each finished request, on the loop's thread.
  using OnRecord = std::function<void(RequestRecord, Texts)>;

  // Everything is on `loop`, which outlives the driver.
  Driver(io::Loop& loop, DriverSettings settings, Composer composer, OnRecord on_record);

  // Runs `workers` workers until all tickets are taken and answered, or Stop(). `tickets` must
  // outlive the call. One level at a time.
  io::Task<void> RunLevel(Tickets& tickets, LevelMark mark, int workers);

  // Sends each request when it is due, whatever has become of those before; done when all have
  // ended. A conversation's later turns are due when the user has thought over the reply.
  io::Task<void> RunOpenLevel(OpenLevel level, LevelMark mark);

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
  // Ends the requests under way likewise, once the level sends no more; the driver goes on. With a
  // level's number only where that level still runs: a word that comes late must not end the next.
  void Cut();
  void CutLevel(int number);

  Composer& composer() { return composer_; }
  DriverSettings& settings() { return settings_; }
  io::Loop& loop() { return loop_; }
  // Of the level that ran last.
  const LagMeter& lag() const { return lag_; }
  std::int64_t unsent() const { return unsent_; }
  // Token chunks read so far. Any thread.
  std::int64_t token_chunks() const { return token_chunks_.load(std::memory_order_relaxed); }

 private:
  // A request that is due. Of a worker of a closed loop: what it has to do next.
  struct Job {
    RequestPlan plan{};
    std::uint64_t id = 0;  // Of its turn.
    LevelMark mark{};
    Phase phase = Phase::kMeasured;
    TimePoint due{};
    Tickets* tickets = nullptr;                 // Of a closed loop: later turns take more of them.
    const std::atomic<bool>* closed = nullptr;  // Of an open loop.
  };

  class Reading;
  class Talk;

  static io::Task<void> Pace(Driver& driver, io::TaskScope& scope, OpenLevel level, LevelMark mark);
  static io::Task<void> Serve(Driver& driver, Job job);
  static io::Task<void> WatchLag(Driver& driver);
  bool NextJob(Job& job, const io::TaskState& task);
  bool NextTurn(Job& job, int turn, bool failed);
  // Sending is a task of its own, out of line: what a request needs only once must not lie in the
  // frame of its long answer. Gives null where it failed, which the record then tells.
  [[gnu::noinline]] io::Task<std::unique_ptr<http::ClientResponse>> Open(std::string body,
                                                                         RequestRecord& record,
                                                                         Deadline deadline);
  io::Task<void> ReadReply(http::ClientResponse& response, RequestRecord& record,
                           Deadline deadline);
  http::Request Describe(const std::string& target, const std::string& body,
                         std::span<const http::Field> fields) const;
  void Scrub(RequestRecord& record) const;
  std::int64_t Since(TimePoint at) const { return (at - settings_.start).count(); }

  io::Loop& loop_;
  DriverSettings settings_;
  Composer composer_;
  OnRecord on_record_;
  std::string authorization_;
  std::vector<http::Field> fields_;  // Views into authorization_ and settings_.
  http::Client client_;
  io::TaskScope* running_ = nullptr;  // Borrowed from RunLevel or RunStoppable while it runs.
  int in_flight_ = 0;
  std::deque<Job> waiting_;  // Due, and held back by in_flight_max.
  LagMeter lag_;
  std::int64_t unsent_ = 0;
  int level_ = 0;  // The one that runs, or ran last.
  bool stopped_ = false;
  std::atomic<std::int64_t> token_chunks_ = 0;
};

}  // namespace penstock::bench
