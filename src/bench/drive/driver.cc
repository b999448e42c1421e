#include "bench/drive/driver.h"

#include <algorithm>
#include <utility>

namespace penstock::bench {
namespace {

constexpr Duration kLagPeriod = std::chrono::milliseconds(10);
// A pacer that is behind must let the loop read now and then.
constexpr int kStartsInARowMax = 32;
constexpr Duration kPacerPause = std::chrono::microseconds(1);
// Workers that begin together, and the pause before the next ones.
constexpr int kWorkersAtOnce = 64;
constexpr Duration kWorkersPause = std::chrono::milliseconds(4);

http::ClientOptions ClientOptionsFor(const DriverSettings& settings) {
  http::ClientOptions options;
  // Every worker's connection may be idle at the same moment, between two levels.
  options.limits.idle_per_origin_max =
      static_cast<std::size_t>(std::max({settings.workers_max, settings.in_flight_max, 1}));
  options.user_agent = "penstock-bench";
  options.receive_timestamps = true;
  // The kernel stamps what arrives, so that no time that is measured changes with it. A server that
  // waits for acknowledgements is held up three times in all, at a run's begin.
  options.put_off_acks = settings.origin.address.IsLoopback();
  return options;
}

}  // namespace

Driver::Driver(io::Loop& loop, DriverSettings settings, Composer composer, OnRecord on_record)
    : loop_(loop),
      settings_(std::move(settings)),
      composer_(std::move(composer)),
      on_record_(std::move(on_record)),
      authorization_(settings_.key_field == KeyField::kBearer ? "Bearer " + settings_.api_key
                                                              : settings_.api_key),
      client_(loop, ClientOptionsFor(settings_)) {
  const bool bearer = settings_.key_field == KeyField::kBearer;
  if (!settings_.api_key.empty()) {
    fields_.push_back({bearer ? "authorization" : "api-key", authorization_});
  }
  for (const auto& [name, value] : settings_.headers) fields_.push_back({name, value});
}

io::Task<void> Driver::RunLevel(Tickets& tickets, LevelMark mark, int workers) {
  io::TaskScope scope(loop_);
  io::TaskScope watch(loop_);
  running_ = &scope;
  level_ = mark.number;
  lag_ = {};
  unsent_ = 0;
  watch.Spawn("bench lag", WatchLag(*this));
  for (int worker = 0; worker < workers && !stopped_; ++worker) {
    scope.Spawn("bench worker", Serve(*this, {.mark = mark, .tickets = &tickets}));
    // What a connection takes to open is many times what it holds open, for memory as for the
    // server's backlog.
    if (worker % kWorkersAtOnce == kWorkersAtOnce - 1) {
      if (!co_await loop_.Sleep(kWorkersPause)) break;
    }
  }
  co_await scope.Join();
  running_ = nullptr;
  watch.Stop();
  co_await watch.Join();
}

io::Task<void> Driver::RunOpenLevel(OpenLevel level, LevelMark mark) {
  io::TaskScope scope(loop_);
  io::TaskScope watch(loop_);
  running_ = &scope;
  level_ = mark.number;
  lag_ = {};
  unsent_ = 0;
  watch.Spawn("bench lag", WatchLag(*this));
  if (!stopped_) scope.Spawn("bench pacer", Pace(*this, scope, level, mark));
  co_await scope.Join();
  running_ = nullptr;
  unsent_ += std::ssize(waiting_);
  waiting_.clear();
  watch.Stop();
  co_await watch.Join();
}

io::Task<void> Driver::RunStoppable(io::Task<void> task) {
  io::TaskScope scope(loop_);
  running_ = &scope;
  if (!stopped_) scope.Spawn("bench task", std::move(task));
  co_await scope.Join();
  running_ = nullptr;
}

void Driver::Cut() {
  if (running_ != nullptr) running_->Stop();
}

void Driver::CutLevel(int number) {
  if (number == level_) Cut();
}

void Driver::Stop() {
  stopped_ = true;
  Cut();
}

io::Task<void> Driver::WatchLag(Driver& driver) {
  for (TimePoint next = driver.loop_.Now() + kLagPeriod;; next += kLagPeriod) {
    if (!co_await driver.loop_.SleepUntil(next)) co_return;
    const Duration late = driver.loop_.Now() - next;
    driver.lag_.Add(late.count());
    if (late > kLagPeriod) next += late;
  }
}

io::Task<void> Driver::Pace(Driver& driver, io::TaskScope& scope, OpenLevel level, LevelMark mark) {
  const Schedule& schedule = *level.schedule;
  const auto step = static_cast<std::size_t>(level.parts);
  int in_a_row = 0;
  for (auto number = static_cast<std::size_t>(level.part); number < schedule.dues.size();
       number += step) {
    const Due& due = schedule.dues[number];
    const TimePoint at = mark.start + Duration(due.at_ns);
    if (at > driver.loop_.Now() || ++in_a_row > kStartsInARowMax) {
      in_a_row = 0;
      const TimePoint until = std::max(at, driver.loop_.Now() + kPacerPause);
      static_cast<void>(co_await driver.loop_.SleepUntil(at > driver.loop_.Now() ? at : until));
    }
    const bool over = driver.stopped_ || level.closed->load(std::memory_order_relaxed) ||
                      driver.settings_.spending->exhausted() ||
                      (co_await io::ThisTask()).cancelled();
    if (over) {
      driver.unsent_ +=
          static_cast<std::int64_t>((schedule.dues.size() - number + step - 1) / step);
      co_return;
    }
    const std::span<const std::int64_t> blocks =
        schedule.blocks.empty() ? std::span<const std::int64_t>() : schedule.blocks[number];
    Job job{.plan = driver.composer_.PlanOf(level.first_id + number, due, blocks,
                                            schedule.block_tokens),
            .id = level.first_id + number,
            .mark = mark,
            .phase = level.times.PhaseAt(due.at_ns),
            .due = at,
            .closed = level.closed};
    const int most = driver.settings_.in_flight_max;
    if (most > 0 && driver.in_flight_ >= most) {
      driver.waiting_.push_back(std::move(job));
      continue;
    }
    ++driver.in_flight_;
    scope.Spawn("bench request", Serve(driver, std::move(job)));
  }
}

io::Task<RequestRecord> Driver::Ask(std::uint64_t id, const Prompt& prompt, int output_tokens) {
  RequestRecord record{.id = id, .concurrency = 1, .phase = Phase::kFit, .agent = settings_.agent};
  record.scheduled_ns = Since(loop_.Now());
  record.prompt_bytes = std::ssize(prompt.text);
  record.output_tokens_wanted = output_tokens;
  std::string body = RequestBody(settings_.endpoint.dialect,
                                 {.model = settings_.model,
                                  .output_tokens = output_tokens,
                                  .streamed = settings_.streamed,
                                  .enforcement = settings_.enforcement},
                                 {{.text = prompt.text}});
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.timeout);
  const auto response = co_await Open(std::move(body), record, deadline);
  if (response) co_await ReadReply(*response, record, deadline);
  Scrub(record);
  on_record_(record, {});
  co_return record;
}

}  // namespace penstock::bench
