#include "bench/driver.h"

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
// Later turns of an open loop's conversation have ids above those of all schedules.
constexpr int kTurnShift = 44;

http::ClientOptions ClientOptionsFor(const DriverSettings& settings) {
  http::ClientOptions options;
  // Every worker's connection may be idle at the same moment, between two levels.
  options.limits.idle_per_origin_max =
      static_cast<std::size_t>(std::max({settings.workers_max, settings.in_flight_max, 1}));
  options.user_agent = "penstock-bench";
  options.receive_timestamps = true;
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
    scope.Spawn("bench worker", Work(*this, tickets, mark));
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

io::Task<void> Driver::Work(Driver& driver, Tickets& tickets, LevelMark mark) {
  // Workers of a level that lies ahead, on a clock that several machines share.
  if (!co_await driver.loop_.SleepUntil(mark.start)) co_return;
  while (!driver.stopped_) {
    const TimePoint now = driver.loop_.Now();
    const auto ticket = tickets.Take((now - mark.start).count());
    if (!ticket) break;
    // A closed loop's request is due when its worker comes free: now.
    co_await driver.Converse({.plan = driver.composer_.PlanOf(ticket->id),
                              .mark = mark,
                              .phase = ticket->phase,
                              .due = now,
                              .tickets = &tickets});
    if (driver.settings_.spending->exhausted()) break;
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

// A place in flight: the request that has it, then those that waited for one.
io::Task<void> Driver::Serve(Driver& driver, Job job) {
  for (;;) {
    co_await driver.Converse(std::move(job));
    const bool over = driver.stopped_ || (co_await io::ThisTask()).cancelled() ||
                      driver.settings_.spending->exhausted();
    if (driver.waiting_.empty() || over) break;
    job = std::move(driver.waiting_.front());
    driver.waiting_.pop_front();
  }
  --driver.in_flight_;
}

// The id of the turn after `turn`, and its phase in `job`. None where there shall be no more.
std::optional<std::uint64_t> Driver::NextTurn(Job& job, int turn, bool failed) {
  if (turn >= job.plan.turns || failed || stopped_) return std::nullopt;
  if (job.tickets != nullptr) {
    const auto ticket = job.tickets->Take((loop_.Now() - job.mark.start).count());
    if (!ticket) return std::nullopt;
    job.phase = ticket->phase;
    return ticket->id;
  }
  if (job.closed->load(std::memory_order_relaxed)) return std::nullopt;
  return job.plan.id | (static_cast<std::uint64_t>(turn) << kTurnShift);
}

io::Task<void> Driver::Converse(Job job) {
  const WorkloadPart& part = composer_.part(job.plan);
  Composer::Turn turn = composer_.First(job.plan);
  std::uint64_t id = job.plan.id;
  for (int number = 1;; ++number) {
    // One at a time, on the heap: a frame would hold one for each place that it is passed on from.
    auto record = std::make_unique<RequestRecord>();
    record->id = id;
    record->turn = job.plan.turns > 1 ? number : 0;
    auto texts = std::make_unique<Texts>();
    if (composer_.mix().parts.size() > 1) record->workload = part.name;
    if (!co_await Turn(job, turn, *record, *texts)) break;
    const int input_before = Told(turn, *record);
    const bool failed = record->failed();
    Messages said;
    if (job.plan.turns > 1) {
      said = std::move(turn.messages);
      said.push_back({.role = Message::Role::kAssistant, .text = texts->output});
    }
    HandOver(std::move(record), std::move(texts));
    if (job.plan.turns <= 1) break;
    const auto next = NextTurn(job, number, failed);
    if (!next) break;
    id = *next;
    job.due = loop_.Now() + std::chrono::milliseconds(part.think_ms);
    if (part.think_ms > 0 && !co_await loop_.SleepUntil(job.due)) break;
    turn = composer_.Next(job.plan, number + 1, std::move(said), input_before);
  }
}

// What the reply tells the composer; gives the tokens that the conversation has so far.
int Driver::Told(const Composer::Turn& turn, const RequestRecord& record) {
  if (record.input_tokens != kUnknown) composer_.Observe(turn, record.input_tokens);
  const int input = record.input_tokens != kUnknown ? record.input_tokens : turn.input_tokens;
  return input + record.OutputTokens();
}

void Driver::HandOver(std::unique_ptr<RequestRecord> record, std::unique_ptr<Texts> texts) {
  if (!settings_.keep_text) *texts = {};
  on_record_(std::move(*record), std::move(*texts));
}

// The request's body, and what the record tells of the request.
std::string Driver::Compose(const Job& job, Composer::Turn& turn, RequestRecord& record,
                            Texts& texts) {
  record.level = job.mark.number;
  record.concurrency = job.mark.concurrency;
  record.phase = job.phase;
  record.agent = settings_.agent;
  record.scheduled_ns = Since(job.due);
  record.input_tokens_wanted = turn.input_tokens;
  record.output_tokens_wanted =
      settings_.endpoint.dialect == Dialect::kEmbeddings ? 0 : turn.output_tokens;
  record.prompt_bytes = static_cast<std::int64_t>(turn.bytes);
  std::string body = RequestBody(settings_.endpoint.dialect,
                                 {.model = settings_.model,
                                  .output_tokens = turn.output_tokens,
                                  .streamed = settings_.streamed,
                                  .enforcement = settings_.enforcement},
                                 turn.messages);
  if (settings_.keep_text) texts.input = turn.messages;
  // The body holds it; a stream may run for long.
  if (job.plan.turns <= 1) Messages().swap(turn.messages);
  return body;
}

// One request and its answer. False, and nothing was sent, where the run may spend no more.
io::Task<bool> Driver::Turn(const Job& job, Composer::Turn& turn, RequestRecord& record,
                            Texts& texts) {
  const int output = settings_.endpoint.dialect == Dialect::kEmbeddings ? 0 : turn.output_tokens;
  const std::int64_t expected = turn.input_tokens + output;
  if (!settings_.spending->Begin(expected)) co_return false;
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.timeout);
  const auto response = co_await Open(Compose(job, turn, record, texts), record, deadline);
  if (response) {
    const bool keeps = settings_.keep_text || job.plan.turns > 1;
    co_await ReadReply(*response, record, keeps ? &texts.output : nullptr, deadline);
  }
  Scrub(record);
  const std::int64_t input =
      record.input_tokens != kUnknown ? record.input_tokens : record.input_tokens_wanted;
  settings_.spending->End(expected, record.sent_ns == kNever ? 0 : input + record.OutputTokens());
  co_return true;
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
  if (response) co_await ReadReply(*response, record, nullptr, deadline);
  Scrub(record);
  on_record_(record, {});
  co_return record;
}

}  // namespace penstock::bench
