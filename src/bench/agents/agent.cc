#include "bench/agents/agent.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "bench/agents/agent_identity.h"
#include "bench/record/record_json.h"
#include "io/event.h"

namespace penstock::bench {

// What lives from one POST /session to the next.
struct Agent::Session {
  SessionOrder order;
  Prepared prepared;
  std::atomic<bool> stop = false;
  ProgressDisplay display{STDERR_FILENO, false};
  std::unique_ptr<Load> load;
  std::atomic<Enough> enough = Enough::kGoOn;  // What the coordinator says of the level that runs.
};

// Lines on their way from the thread that collects a level's records to the coordinator's
// connection. Holds at most kPendingBytesMax: then the collector waits for the connection.
class Agent::Outbox {
 public:
  explicit Outbox(io::Loop& loop) : loop_(loop), more_(std::make_shared<io::Event>(loop)) {}

  // The collecting thread.
  void Put(const std::string& lines) {
    std::unique_lock lock(mutex_);
    taken_.wait(lock, [this] { return closed_ || pending_.size() < kPendingBytesMax; });
    if (closed_) return;
    pending_ += lines;
    Wake();
  }
  void PutEnd() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    Wake();
  }

  // The loop's thread. Lines since the last call, which may be none; `ended`: there will be no
  // more.
  struct Lines {
    std::string text;
    bool ended = false;
  };
  io::Task<Result<Lines>> Take() {
    const Status waited = co_await more_->Wait(Deadline::Never());
    if (!waited) co_return Fail(waited.error());
    more_->Reset();
    const std::lock_guard lock(mutex_);
    taken_.notify_one();
    co_return Lines{.text = std::exchange(pending_, {}), .ended = ended_};
  }
  // Nobody takes any more.
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    taken_.notify_one();
  }

 private:
  static constexpr std::size_t kPendingBytesMax = std::size_t{64} << 20;

  void Wake() {
    loop_.Post([more = more_] { more->Set(); });
  }

  io::Loop& loop_;
  std::shared_ptr<io::Event> more_;  // Shared with calls that come when nobody waits any more.
  std::mutex mutex_;                 // Guards what follows; taken once a batch.
  std::condition_variable taken_;
  std::string pending_;
  bool ended_ = false;
  bool closed_ = false;
};

namespace {

bool Equal(std::string_view given, std::string_view wanted) {
  if (given.size() != wanted.size()) return false;
  unsigned difference = 0;  // Looked at as a whole, so that time tells nothing.
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(wanted[i]);
  }
  return difference == 0;
}

// A part of `whole` for one of `parts`: the first ones take one more.
int ShareOf(int whole, int part, int parts) {
  return whole / parts + (part < whole % parts ? 1 : 0);
}

}  // namespace

Agent::~Agent() = default;

Status Agent::CheckListen(const io::Address& address, const std::string& key) {
  if (address.IsLoopback()) return {};
  if (key.size() >= kAgentKeyBytesMin) return {};
  if (!key.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("agent-key has {} bytes, between machines it must have at least {}",
                            key.size(), kAgentKeyBytesMin),
                "agent-key");
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("listen is {}, which others reach: give --agent-key, or listen on "
                          "127.0.0.1",
                          address.ToString()),
              "listen");
}

io::Task<void> Agent::Answer(Agent& agent, http::Exchange& exchange) {
  const bool known = agent.key_.empty() ||
                     Equal(exchange.head().fields.Get("authorization"), "Bearer " + agent.key_);
  const std::string path(exchange.head().path);
  const auto body = co_await exchange.ReadBody();
  if (!body) co_return;
  const std::string text(*body);
  exchange.CancelWhenPeerGone();
  if (!known) {
    static_cast<void>(
        co_await exchange.RespondError({Code::kUnauthenticated, "the agent wants its key", {}}));
    co_return;
  }
  if (path == "/level") {
    co_await agent.StreamLevel(exchange, text);
    co_return;
  }
  auto answer = co_await agent.Dispatch(path, text);
  if (answer) {
    static_cast<void>(co_await exchange.Respond(200, "application/json", *answer));
  } else {
    static_cast<void>(co_await exchange.RespondError(answer.error()));
  }
}

io::Task<Result<std::string>> Agent::Dispatch(std::string path, std::string body) {
  if (path == "/clock") co_return ClockJson(loop_.Now().time_since_epoch().count());
  if (path == "/level/end") {
    if (auto ended = EndLevel(body); !ended) co_return Fail(ended.error());
    co_return "{}";
  }
  if (busy_) co_return Fail(Code::kConflict, "the agent runs another coordinator's load");
  if (path == "/session") {
    session_.reset();
    co_return co_await OffLoop([this, body] { return Open(body); });
  }
  if (session_ == nullptr) {
    co_return Fail(Code::kConflict, "the agent has no session: POST /session first");
  }
  if (path == "/fit") co_return co_await OffLoop([this] { return Fit(); });
  if (path == "/lesson") co_return Learn(body);
  co_return Fail(Code::kNotFound, fmt::format("an agent has no {}", path));
}

io::Task<Result<std::string>> Agent::OffLoop(std::function<Result<std::string>()> work) {
  busy_ = true;
  // Shared with the call that sets it, which may come when nobody waits any more.
  const auto done = std::make_shared<io::Event>(loop_);
  Result<std::string> outcome = Fail(Code::kCancelled, "the coordinator went away");
  std::jthread thread([this, &work, &outcome, done] {
    outcome = work();
    loop_.Post([done] { done->Set(); });
  });
  const Status waited = co_await done->Wait(Deadline::Never());
  // The coordinator went away: the load stops within a quarter of a second.
  if (!waited && session_ != nullptr) session_->stop = true;
  thread.join();
  busy_ = false;
  co_return std::move(outcome);
}

Result<std::string> Agent::Open(const std::string& body) {
  auto order = ParseSessionOrder(body);
  if (!order) return Fail(order.error());
  auto prepared = Prepare(order->options);
  if (!prepared) return Fail(prepared.error());
  auto session = std::make_shared<Session>(std::move(*order), std::move(*prepared));
  session->prepared.header.settings.salt = session->order.salt;
  const BenchOptions& options = session->order.options;
  DriverSettings settings = SettingsFor(options, session->prepared);
  settings.start = TimePoint(Duration(session->order.start_ns));
  settings.agent = session->order.agent;
  const Composer composer(session->prepared.corpus, ComposerFor(options, session->prepared));
  session->load = std::make_unique<Load>(
      LoadSettings{.threads = options.threads, .sources = options.target.sources}, settings,
      composer, nullptr, session->display, session->stop);
  session_ = std::move(session);
  return "{}";
}

Result<std::string> Agent::Fit() {
  Load& load = *session_->load;
  const auto fitted = load.FitPrompts();
  if (!fitted) return Fail(fitted.error());
  return ToJson(FitLesson{.enforcement = load.settings().enforcement,
                          .points = load.composer().fit_points()});
}

Result<std::string> Agent::Learn(const std::string& body) {
  const auto lesson = ParseFitLesson(body);
  if (!lesson) return Fail(lesson.error());
  session_->load->Teach(lesson->enforcement, lesson->points);
  return "{}";
}

Status Agent::EndLevel(const std::string& body) {
  const auto cut = ParseEnd(body);
  if (!cut) return Fail(cut.error());
  if (session_ == nullptr) return Fail(Code::kConflict, "the agent has no session");
  session_->enough = *cut ? Enough::kCut : Enough::kDrain;
  return {};
}

io::Task<void> Agent::StreamLevel(http::Exchange& exchange, std::string body) {
  const auto order = ParseLevelOrder(body);
  Status ready = order ? Status{} : Status(std::unexpected(order.error()));
  if (ready && busy_) ready = Fail(Code::kConflict, "the agent runs another coordinator's load");
  if (ready && session_ == nullptr) {
    ready = Fail(Code::kConflict, "the agent has no session: POST /session first");
  }
  if (!ready) {
    static_cast<void>(co_await exchange.RespondError(ready.error()));
    co_return;
  }
  busy_ = true;
  const auto session = session_;
  session->enough = Enough::kGoOn;
  Outbox outbox(loop_);
  std::jthread thread([this, &order, &outbox] {
    const auto level = RunLevel(*order, outbox);
    std::string last;
    if (!level) {
      last = FailureLine(level.error());
    } else if (level->threads > 0) {
      AppendLine(*level, last);
    }
    outbox.Put(last);
    outbox.PutEnd();
  });
  exchange.StartStream(200, "application/x-ndjson");
  bool listened = true;
  for (bool ended = false; listened && !ended;) {
    const auto lines = co_await outbox.Take();
    if (!lines) {
      listened = false;
      break;
    }
    ended = lines->ended;
    const Status sent =
        ended ? co_await exchange.Finish(lines->text) : co_await exchange.WriteChunk(lines->text);
    listened = sent.has_value();
  }
  outbox.Close();
  // The coordinator went away: the load stops within a quarter of a second.
  if (!listened) session->stop = true;
  thread.join();
  busy_ = false;
}

Result<LevelRecord> Agent::RunLevel(const LevelOrder& order, Outbox& outbox) {
  const std::shared_ptr<Session> current = session_;
  const SessionOrder& session = current->order;
  LevelPlan plan{.concurrency = ShareOf(order.concurrency, session.agent, session.agents),
                 .warmup = ShareOf(order.warmup, session.agent, session.agents),
                 .measured = ShareOf(order.measured, session.agent, session.agents),
                 .number = order.number,
                 .poll = [&current] { return current->enough.load(); },
                 .on_record =
                     [&](RequestRecord record) {
                       // The level's, not this machine's share.
                       if (order.concurrency > 0) record.concurrency = order.concurrency;
                       std::string line;
                       AppendLine(record, line);
                       outbox.Put(line);
                     },
                 .duration = Duration(order.duration_ns),
                 .warmup_time = Duration(order.warmup_ns),
                 .cooldown_time = Duration(order.cooldown_ns),
                 .drain_max = Duration(order.drain_ns),
                 .scout = order.scout,
                 .repeats = order.repeats,
                 .part = session.agent,
                 .parts = session.agents,
                 .start = TimePoint(Duration(order.start_ns)),
                 .first_id = order.first_id};
  OpenLevelShape drawn;
  if (order.concurrency == 0) {
    auto level = DrawLevel(session.options, order.draw);
    if (!level) return Fail(level.error());
    drawn = std::move(*level);
    plan.schedule = &drawn.schedule;
    plan.rate_per_s = drawn.rate_per_s / session.agents;
  } else if (plan.concurrency == 0) {
    return LevelRecord{.threads = 0};  // Fewer workers than agents.
  }
  const auto run = current->load->RunLevel(plan);
  if (!run) return Fail(run.error());
  if (run->levels.empty()) return LevelRecord{.threads = 0};
  return run->levels.front();
}

}  // namespace penstock::bench
