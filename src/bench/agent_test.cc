// Agents: what they are told, how their clocks are set, and a run on two of them.
#include "bench/agent.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/test_folder.h"
#include "bench/loopback_model.h"
#include "bench/record_json.h"
#include "bench/records_file.h"
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
  EXPECT_FALSE(MergeLevels({"{\"kind\":\"request\"}\n"}));
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
  EXPECT_TRUE(Agent::CheckListen(*io::Address::Parse("0.0.0.0:9"), "k"));
}

// An agent on a thread of its own.
class RunningAgent {
 public:
  explicit RunningAgent(std::string key) : agent_(loop_, std::move(key)), end_(loop_) {
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
    http::testing::Site site(self.loop_, self.agent_.handler());
    self.port_ = site.address.port;
    self.port_.notify_one();
    static_cast<void>(co_await self.end_.Wait(Deadline::Never()));
    co_await site.Close();
  }

  io::EpollLoop loop_;
  Agent agent_;
  io::Event end_;
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

TEST(AgentFleet, SaysWhichAgentRefused) {
  const RunningAgent one("another");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(OptionsFor("http://127.0.0.1:1", {one.name()}), stop);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message,
            "agent " + one.name() + ": the agent wants its key: --agent-key");
  const auto wrong = RunBench(OptionsFor("http://127.0.0.1:1", {"nowhere"}), stop);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().field, "agents");
}

}  // namespace
}  // namespace penstock::bench
