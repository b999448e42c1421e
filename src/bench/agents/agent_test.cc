// Agents: what they are told, how their clocks are set, and a run on two of them.
#include "bench/agents/agent.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/test_folder.h"
#include "bench/agents/agent_identity.h"
#include "bench/agents/agent_protocol.h"
#include "bench/drive/loopback_model.h"
#include "bench/record/record_json.h"
#include "bench/record/records_file.h"
#include "bench/record/test_records.h"
#include "bench/run.h"

namespace penstock::bench {
namespace {

TEST(AgentProtocol, OrdersComeBackAsTheyWereSent) {
  SessionOrder order;
  order.options.url = "http://h:1/v1";
  order.options.api_key = "k\"";
  order.options.concurrency = {};
  order.options.seed = 77;
  order.options.timeout = std::chrono::seconds(9);
  order.options.shape.rates = {0.5, 3};
  order.options.shape.warmup = std::chrono::seconds(2);
  order.options.content.think_s = 0;
  order.options.content.salted = false;
  order.options.target.headers = {"a: b", "c: \"d\""};
  order.salt = 99;
  order.start_ns = 123;
  order.agent = 1;
  order.agents = 3;
  const auto back = ParseSessionOrder(ToJson(order));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(ToJson(*back), ToJson(order));
  EXPECT_EQ(back->options.shape.rates, order.options.shape.rates);
  EXPECT_EQ(back->options.target.headers, order.options.target.headers);
  EXPECT_EQ(back->options.content.think_s, 0);
  EXPECT_FALSE(back->options.content.salted);
  EXPECT_EQ(back->options.shape.warmup, order.options.shape.warmup);
  EXPECT_FALSE(back->options.progress);

  const LevelOrder level{.concurrency = 8, .measured = 5, .start_ns = 7, .first_id = 1u << 31};
  EXPECT_EQ(ToJson(*ParseLevelOrder(ToJson(level))), ToJson(level));
  const FitLesson lesson{.enforcement = {.ignore_end = false},
                         .points = {{.body = 1, .body_bytes = 2, .text_bytes = 3, .tokens = 4}}};
  const auto learned = ParseFitLesson(ToJson(lesson));
  ASSERT_TRUE(learned) << learned.error().message;
  EXPECT_EQ(learned->points, lesson.points);
  EXPECT_FALSE(learned->enforcement.ignore_end);
}

TEST(AgentProtocol, RefusesWhatItCannotRead) {
  EXPECT_FALSE(ParseSessionOrder("{}"));
  EXPECT_FALSE(ParseSessionOrder("nonsense"));
  EXPECT_FALSE(ParseSessionOrder(R"({"url":"u","start_ns":1,"agent":2,"agents":2})"));
  EXPECT_FALSE(ParseLevelOrder(R"({"start_ns":"x"})"));
  EXPECT_FALSE(ParseFitLesson(R"({"bodies":[1],"tokens":[]})"));
  EXPECT_FALSE(ParseClock("[]"));
  EXPECT_FALSE(ParseEnd("{}"));
  EXPECT_FALSE(ParseEnd(R"({"cut":"yes"})"));
}

TEST(AgentProtocol, TakesWholeLinesWhereverAnAnswerWasCut) {
  std::string all;
  for (std::uint64_t id = 0; id < 3; ++id) AppendLine(testing::MakeRecord({.id = id}), all);
  AppendLine(LevelRecord{.number = 4, .concurrency = 2}, all);
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    std::string text = all.substr(0, cut);
    auto first = TakeLines(text);
    ASSERT_TRUE(first) << first.error().message;
    text += all.substr(cut);
    auto second = TakeLines(text);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(first->requests.size() + second->requests.size(), 3u);
    EXPECT_EQ(first->levels.size() + second->levels.size(), 1u);
    EXPECT_TRUE(text.empty());
  }
  std::string wrong = "{\"kind\":\"request\"}\n";
  EXPECT_FALSE(TakeLines(wrong));
  std::string no_json = "<html>\n";
  EXPECT_FALSE(TakeLines(no_json));
}

TEST(AgentProtocol, AFailureWithinALevelIsTold) {
  std::string all;
  AppendLine(testing::MakeRecord({}), all);
  all += FailureLine({Code::kExhausted, "no \"descriptors\" left", {}});
  const auto taken = TakeLines(all);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message, "no \"descriptors\" left");
}

TEST(AgentProtocol, PartsOfALevelAreAdded) {
  const LevelRecord merged = MergedLevel(
      {{.number = 2, .concurrency = 3, .started_ns = 5, .ended_ns = 9, .threads = 1, .unsent = 1},
       {.number = 2,
        .concurrency = 2,
        .started_ns = 4,
        .ended_ns = 8,
        .threads = 2,
        .cut = true,
        .unsent = 2}});
  EXPECT_EQ(merged, (LevelRecord{.number = 2,
                                 .concurrency = 5,
                                 .started_ns = 4,
                                 .ended_ns = 9,
                                 .threads = 3,
                                 .cut = true,
                                 .unsent = 3}));
}

TEST(AgentIdentity, IsTheSecretsAloneAndByteForByte) {
  const auto one = IdentityOf("a secret of some length");
  const auto two = IdentityOf("a secret of some length");
  const auto other = IdentityOf("another secret, as long");
  ASSERT_TRUE(one && two && other);
  EXPECT_EQ(one->certificate, two->certificate);
  EXPECT_EQ(one->private_key, two->private_key);
  EXPECT_NE(one->certificate, other->certificate);
  EXPECT_EQ(one->certificate.find("secret"), std::string::npos);
  const auto weak = IdentityOf("fifteen letters");
  ASSERT_FALSE(weak);
  EXPECT_EQ(weak.error().field, "agent-key");
}

TEST(Clocks, AreSetByTheFastestExchange) {
  // The agent is 1,000,000 ahead; the slow exchange is lopsided.
  const ClockOffset offset =
      EstimateOffset({{.asked_ns = 0, .agent_ns = 1'000'900, .answered_ns = 1'000},
                      {.asked_ns = 5'000, .agent_ns = 1'005'060, .answered_ns = 5'100}});
  EXPECT_EQ(offset.ahead_ns, 1'000'010);
  EXPECT_EQ(offset.error_max_ns, 50);
}

TEST(Agent, ListensToOthersOnlyWithAKey) {
  EXPECT_TRUE(Agent::CheckListen(*io::Address::Parse("127.0.0.1:0"), ""));
  EXPECT_FALSE(Agent::CheckListen(*io::Address::Parse("0.0.0.0:9"), ""));
  EXPECT_EQ(Agent::CheckListen(*io::Address::Parse("0.0.0.0:9"), "short").error().field,
            "agent-key");
  EXPECT_TRUE(Agent::CheckListen(*io::Address::Parse("0.0.0.0:9"), "sixteen letters!"));
}

// An agent on a thread of its own.
class RunningAgent {
 public:
  explicit RunningAgent(std::string key, std::shared_ptr<const io::TlsContext> tls = nullptr)
      : agent_(loop_, std::move(key)), end_(loop_), tls_(std::move(tls)) {
    thread_ = std::jthread([this] { io::RunBlocking(loop_, Serve(*this)); });
    port_.wait(0);
  }
  ~RunningAgent() {
    loop_.Post([this] { end_.Set(); });
    thread_.join();
  }
  std::string name() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  static io::Task<void> Serve(RunningAgent& self) {
    auto listener = http::testing::Must(
        self.loop_.Listen({.host = "127.0.0.1", .port = 0}, {.tls = self.tls_}));
    self.port_ = listener->address().port;
    self.port_.notify_one();
    http::Server server(self.loop_, self.agent_.handler());
    server.Serve(std::move(listener));
    static_cast<void>(co_await self.end_.Wait(Deadline::Never()));
    server.Stop();
    co_await server.Join();
  }

  io::EpollLoop loop_;
  Agent agent_;
  io::Event end_;
  std::shared_ptr<const io::TlsContext> tls_;
  std::atomic<int> port_ = 0;
  std::jthread thread_;
};

BenchOptions OptionsFor(const std::string& url, std::vector<std::string> agents) {
  BenchOptions options;
  options.url = url;
  options.model = "m";
  options.input_tokens = 128;
  options.output_tokens = 6;
  options.progress = false;
  options.agents = std::move(agents);
  options.agent_key = "secret";
  return options;
}

TEST(AgentFleet, OneScheduleIsSplitAndItsRecordsAreOneRun) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.shape.rates = {50};
  options.shape.arrivals = "constant";
  options.requests = 20;
  options.shape.warmup = Duration{};
  const TestFolder folder;
  options.records_path = folder.File("records.jsonl");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  const auto run = ReadRecords(options.records_path);
  ASSERT_TRUE(run) << run.error().message;
  std::set<std::int64_t> due;
  std::set<int> agents;
  for (const RequestRecord& record : run->requests) {
    EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
    due.insert(record.scheduled_ns);
    agents.insert(record.agent);
  }
  EXPECT_EQ(agents, (std::set<int>{0, 1}));
  // One request every 20 ms, whoever sent it.
  ASSERT_EQ(due.size(), 20u);
  std::int64_t last = *due.begin() - 20'000'000;
  for (const std::int64_t at : due) {
    EXPECT_NEAR(static_cast<double>(at - last), 2e7, 1e6);
    last = at;
  }
  ASSERT_EQ(run->levels.size(), 1u);
  EXPECT_EQ(run->levels[0].scheduled, 20);
}

TEST(AgentFleet, AClosedLoopIsSplit) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.concurrency = {5};
  options.requests = 20;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_EQ(outcome->summary.levels.size(), 1u);
  EXPECT_EQ(outcome->summary.levels[0].concurrency, 5);
  EXPECT_EQ(outcome->summary.levels[0].succeeded, 20);
}

TEST(AgentFleet, RecordsComeInWhileTheLevelRuns) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.concurrency = {2};
  options.requests = 1'000'000;  // It would never end by itself.
  std::atomic<bool> stop = false;
  options.on_progress = [&stop](const ProgressState& state) {
    if (state.done >= 10 && state.stage.find("on 2 agents") != std::string::npos) stop = true;
  };
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  // What was done is kept, though the run was stopped.
  ASSERT_EQ(outcome->summary.levels.size(), 1u);
  EXPECT_GE(outcome->summary.levels[0].succeeded, 10);
}

// The level would never end by itself: the others are told, and the run says who was lost.
TEST(AgentFleet, AnAgentThatGoesAwayEndsTheRunAtOnce) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  auto two = std::make_unique<RunningAgent>("secret");
  const std::string lost = two->name();
  BenchOptions options = OptionsFor(url, {one.name(), lost});
  options.concurrency = {2};
  options.requests = 1'000'000;
  std::jthread killer;
  options.on_progress = [&](const ProgressState& state) {
    if (state.done < 10 || state.stage.find("on 2 agents") == std::string::npos || !two) return;
    killer = std::jthread([gone = std::move(two)]() mutable { gone.reset(); });
  };
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_FALSE(outcome);
  EXPECT_TRUE(
      outcome.error().message.starts_with("agent " + lost + ": it went away within a level"))
      << outcome.error().message;
  EXPECT_NE(outcome.error().message.find("--records"), std::string::npos);
}

TEST(AgentFleet, ASearchJudgesAndEndsItsProbes) {
  testing::LoopbackModel server;
  // Throughput grows up to 16 at once, so that the search goes on to 32, which take 80 ms.
  server.model.knee = 16;
  server.model.gap = std::chrono::milliseconds(40);
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.budget = "tpot_p50<60ms";
  options.concurrency_max = 64;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_TRUE(outcome->summary.within_budget);
  bool broke = false;
  for (const LevelSummary& level : outcome->summary.levels) {
    // Far beyond the bound a handful settles it: the agents were told to end.
    if (level.verdict.passes || level.concurrency < 32) continue;
    broke = true;
    EXPECT_LT(level.succeeded, 2 * level.concurrency) << level.concurrency;
  }
  EXPECT_TRUE(broke);
}

TEST(AgentFleet, SearchesRatesOverAgents) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.budget = "errors<20%";
  options.search = "rate";
  options.shape.arrivals = "constant";
  options.rate_max = 60;
  options.requests = 30;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_TRUE(outcome->summary.within_budget);
  const LevelSummary& best = outcome->summary.levels[*outcome->summary.within_budget];
  EXPECT_EQ(best.rate_per_s, 60);
  EXPECT_FALSE(best.scout);
}

TEST(AgentFleet, RepeatsAreSplitLikeAnyLevel) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one("secret");
  const RunningAgent two("secret");
  BenchOptions options = OptionsFor(url, {one.name(), two.name()});
  options.shape.rates = {80};
  options.shape.warmup = Duration{};
  options.requests = 16;
  options.repeats = 3;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_EQ(outcome->summary.levels.size(), 1u);
  EXPECT_EQ(outcome->summary.levels[0].repeats.count, 3);
  EXPECT_EQ(outcome->summary.levels[0].succeeded, 48);
}

constexpr const char* kLongSecret = "a secret of some length";

TEST(AgentFleet, WhatGoesToAnAgentIsEncryptedWithWhatTheKeyStandsFor) {
  testing::LoopbackModel server;
  const std::string url = server.Start();
  const RunningAgent one(kLongSecret, http::testing::Must(AgentServerTls(kLongSecret)));
  BenchOptions options = OptionsFor(url, {one.name()});
  options.concurrency = {2};
  options.requests = 6;
  options.agent_key = kLongSecret;
  options.agent_tls = true;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->summary.levels.at(0).succeeded, 6);

  // Another key stands for another certificate: nothing is sent, the key least of all.
  options.agent_key = "another secret, as long";
  const auto stranger = RunBench(options, stop);
  ASSERT_FALSE(stranger);
  EXPECT_NE(stranger.error().message.find("certificate"), std::string::npos)
      << stranger.error().message;
  // A coordinator that speaks plainly gets nowhere.
  options.agent_key = kLongSecret;
  options.agent_tls = false;
  EXPECT_FALSE(RunBench(options, stop));
  // Nor is a plain agent ever sent an order by one that does not.
  const RunningAgent plain(kLongSecret);
  options.agents = {plain.name()};
  options.agent_tls = true;
  EXPECT_FALSE(RunBench(options, stop));
}

TEST(AgentFleet, ATokenizerStaysHere) {
  BenchOptions options = OptionsFor("http://127.0.0.1:1", {"127.0.0.1:1"});
  options.count_tokens = [](std::string_view text) { return static_cast<int>(text.size()); };
  const auto refused = CheckOptions(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "tokenizer");
}

TEST(AgentFleet, SaysWhichAgentRefused) {
  const RunningAgent one("another");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(OptionsFor("http://127.0.0.1:1", {one.name()}), stop);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message,
            "agent " + one.name() +
                ": the agent wants its key; give the key that the agent was started with: "
                "PENSTOCK_AGENT_KEY, or --agent-key");
  // Nobody listens on port 1.
  const auto absent = RunBench(OptionsFor("http://127.0.0.1:1", {"127.0.0.1:1"}), stop);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message,
            "agent 127.0.0.1:1: cannot connect to 127.0.0.1:1: Connection refused; start `penstock "
            "bench agent --listen 127.0.0.1:1`, with the same PENSTOCK_AGENT_KEY as here");
  const auto wrong = RunBench(OptionsFor("http://127.0.0.1:1", {"nowhere"}), stop);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().field, "agents");
}

}  // namespace
}  // namespace penstock::bench
