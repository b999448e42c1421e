#include "bench/agent.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "bench/record_json.h"
#include "io/event.h"

namespace penstock::bench {

// What lives from one POST /session to the next.
struct Agent::Session {
  SessionOrder order;
  Prepared prepared;
  std::atomic<bool> stop = false;
  ProgressDisplay display{STDERR_FILENO, false};
  std::unique_ptr<Load> load;
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
  if (address.IsLoopback() || !key.empty()) return {};
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
    static_cast<void>(co_await exchange.RespondError(
        {Code::kUnauthenticated, "the agent wants its key: --agent-key", {}}));
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
  if (path == "/level") co_return co_await OffLoop([this, body] { return RunLevel(body); });
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

Result<std::string> Agent::RunLevel(const std::string& body) {
  const auto order = ParseLevelOrder(body);
  if (!order) return Fail(order.error());
  const SessionOrder& session = session_->order;
  LevelPlan plan{.concurrency = ShareOf(order->concurrency, session.agent, session.agents),
                 .warmup = ShareOf(order->warmup, session.agent, session.agents),
                 .measured = ShareOf(order->measured, session.agent, session.agents),
                 .number = order->number,
                 .duration = Duration(order->duration_ns),
                 .warmup_time = Duration(order->warmup_ns),
                 .cooldown_time = Duration(order->cooldown_ns),
                 .drain_max = Duration(order->drain_ns),
                 .part = session.agent,
                 .parts = session.agents,
                 .start = TimePoint(Duration(order->start_ns)),
                 .first_id = order->first_id};
  const auto& open = session_->prepared.open;
  if (order->concurrency == 0) {
    const auto place = static_cast<std::size_t>(order->shape_level);
    if (!open || place >= open->levels.size()) {
      return Fail(Code::kInvalidArgument, "level: the session has no such open level", "level");
    }
    plan.schedule = &open->levels[place].schedule;
    plan.rate_per_s = open->levels[place].rate_per_s / session.agents;
  } else if (plan.concurrency == 0) {
    return std::string();  // Fewer workers than agents.
  }
  const auto run = session_->load->RunLevel(plan);
  if (!run) return Fail(run.error());
  std::string lines;
  for (RequestRecord record : run->requests) {
    // The level's, not this machine's share.
    if (order->concurrency > 0) record.concurrency = order->concurrency;
    AppendLine(record, lines);
  }
  for (const LevelRecord& level : run->levels) AppendLine(level, lines);
  return lines;
}

}  // namespace penstock::bench
