#include "plan/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <boost/json.hpp>

#include "plan/scenario.h"
#include "plan/sim_prefix_cache.h"
#include "plan/simulation_text.h"
#include "trace/csv.h"

namespace penstock::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kFleet =
    "fleet: {step: {fixed_ms: 10, prefill_us: 100, decode_us: 500}, cost_per_s: 6000, "
    "output_weight: 4, concurrency: 16, replicas: [2, 2]}\n";

Scenario Parsed(const std::string& yaml) {
  auto scenario = ParseScenario(yaml, ".");
  EXPECT_TRUE(scenario) << scenario.error().message;
  return scenario ? *std::move(scenario) : Scenario{};
}

// A conforming tenant with a guarantee beside one that floods.
std::string Flood(const std::string& policy) {
  return "policy: " + policy + "\n" + kFleet +
         "tenants:\n"
         "  - {name: good, range: [2000, 4000], traffic: {requests_per_minute: 90, input_tokens: "
         "1000, output_tokens: 100, span_s: 300}}\n"
         "  - {name: flood, traffic: {requests_per_minute: 2000, input_tokens: 1000, "
         "output_tokens: "
         "100, span_s: 300, seed: 5}}\n";
}

TEST(Simulation, EveryRequestEndsOnceAndNothingIsServedTwice) {
  const SimOutcome outcome = Simulate(Parsed(Flood("penstock")));
  for (const TenantOutcome& tenant : outcome.tenants) {
    EXPECT_GT(tenant.arrived, 0u);
    EXPECT_EQ(tenant.arrived, tenant.completed + tenant.failed + tenant.refusals());
    EXPECT_EQ(tenant.latency_us.count(), tenant.completed);
    EXPECT_LE(tenant.served_cost, tenant.offered_cost * (1 + 1e-9));
  }
  EXPECT_GT(outcome.busy_share, 0.5);
  EXPECT_LE(outcome.busy_share, 1 + 1e-9);
}

TEST(Simulation, AGuaranteeHoldsBesideAFloodAndNotWithoutTheContract) {
  const SimOutcome contract = Simulate(Parsed(Flood("penstock")));
  const SimOutcome fifo = Simulate(Parsed(Flood("fifo")));
  EXPECT_GT(contract.tenants[0].attainment(), 0.95);
  EXPECT_LT(fifo.tenants[0].attainment(), 0.5);
}

TEST(Simulation, TheSameScenarioGivesTheSameAnswerBitForBit) {
  const auto json = [] {
    const std::vector<SimRun> runs = {{.outcome = Simulate(Parsed(Flood("penstock")))}};
    return SimulationJson(runs);
  };
  EXPECT_EQ(json(), json());
}

TEST(Simulation, AFleetGrowsWithItsLoadAndShrinksAgain) {
  const Scenario scenario = Parsed(
      "fleet: {step: {fixed_ms: 10, prefill_us: 100, decode_us: 500}, cost_per_s: 6000, "
      "concurrency: "
      "16, replicas: [1, 8], start_s: 30}\n"
      "tenants:\n  - {name: a, traffic: {requests_per_minute: 600, input_tokens: 1000, "
      "output_tokens: "
      "100, span_s: 900}}\n"
      "  - {name: b, traffic: {requests_per_minute: 6, input_tokens: 10, output_tokens: 1, span_s: "
      "3000}}\n");
  const SimOutcome outcome = Simulate(scenario);
  double most = 0;
  for (const FleetMinute& minute : outcome.minutes) most = std::max(most, minute.replicas);
  EXPECT_GE(most, 3);
  EXPECT_EQ(outcome.minutes.back().replicas, 1);
  EXPECT_FALSE(outcome.decisions.empty());
}

TEST(Simulation, AReplicaThatFailsIsReplacedAndWhatHadNotBegunIsRetried) {
  Scenario scenario = Parsed(Flood("penstock"));
  scenario.fleet.failures = {{.at_s = 100, .replicas = 1}};
  const SimOutcome outcome = Simulate(scenario);
  EXPECT_GT(outcome.tenants[0].failed + outcome.tenants[1].failed, 0u);
  EXPECT_LT(outcome.tenants[0].failed + outcome.tenants[1].failed, 17u);
  EXPECT_EQ(outcome.minutes.back().replicas, 2);
}

TEST(Scenario, WhatIsWrongIsNamedByItsPath) {
  const auto message = [](const std::string& yaml) {
    const auto scenario = ParseScenario(yaml, ".");
    return scenario ? std::string("accepted") : scenario.error().message;
  };
  const std::string fleet = kFleet;
  EXPECT_THAT(message("fleet: {replica: 1}\n"), HasSubstr("fleet.replica is not known here"));
  EXPECT_THAT(message("fleet: {replicas: [3, 2]}\n"), HasSubstr("fleet.replicas must be"));
  EXPECT_THAT(message("fleet: {step: {prefill_us: 0}}\n"), HasSubstr("fleet.step.prefill_us"));
  EXPECT_THAT(message(fleet), HasSubstr("tenants is missing"));
  EXPECT_THAT(message(fleet + "tenants: [{traffic: {requests_per_minute: 1}}]\n"),
              HasSubstr("tenants[0].name is missing"));
  EXPECT_THAT(message(fleet + "tenants: [{name: a, traffic: {}}]\n"),
              HasSubstr("tenants[0].traffic.requests_per_minute is missing"));
  EXPECT_THAT(message(fleet + "tenants: [{name: a, overload: drop, traffic: "
                              "{requests_per_minute: 1}}]\n"),
              HasSubstr("drop"));
  EXPECT_THAT(message(fleet + "tenants: [{name: a, traffic: {trace: /no/such}}]\n"),
              HasSubstr("/no/such"));
  EXPECT_THAT(message("fleet: {}\ntenants: [{name: a, range: [1, 2], traffic: "
                      "{requests_per_minute: 1}}]\n"),
              HasSubstr("needs fleet.cost_per_s"));
  EXPECT_THAT(message("fleet: {calibration: c.json, step: {}}\n"), HasSubstr("fleet.calibration"));
  EXPECT_THAT(message("fleet: {strategy: fast}\n"), HasSubstr("strategy"));
  EXPECT_THAT(message("fleet: {step: {fixed_ms: .nan}}\n"), HasSubstr("fleet.step.fixed_ms"));
  EXPECT_THAT(message("fleet: {replicas: [0, 0]}\n"), HasSubstr("one replica at least"));
  EXPECT_THAT(message("fleet: {concurrency: 0}\n"), HasSubstr("fleet.concurrency"));
  EXPECT_THAT(message(fleet + "tenants: [{name: a, range: [5, 1], traffic: {}}]\n"),
              HasSubstr("tenants[0].range must be"));
  EXPECT_THAT(message("a: ["), HasSubstr("not YAML"));
  EXPECT_THAT(message("- 1"), HasSubstr("must be a mapping"));
}

TEST(Scenario, SweepsVaryNamedFigures) {
  Scenario scenario;
  EXPECT_TRUE(Vary("replicas", "2-6", scenario));
  EXPECT_EQ(scenario.fleet.replicas_min, 2);
  EXPECT_EQ(scenario.fleet.replicas_max, 6);
  EXPECT_TRUE(Vary("replicas", "3", scenario));
  EXPECT_EQ(scenario.fleet.replicas_max, 3);
  EXPECT_TRUE(Vary("start_s", "12.5", scenario));
  EXPECT_TRUE(Vary("policy", "fifo", scenario));
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"replicas", "6-2"},
                                                        {"replicas", "x"},
                                                        {"concurrency", "0"},
                                                        {"policy", "best"},
                                                        {"colour", "1"},
                                                        {"start_s", "-1"}}) {
    EXPECT_FALSE(Vary(name, value, scenario)) << name << "=" << value;
  }
}

// A fleet that no server would promise is played all the same, and told of.
TEST(Scenario, AnImpossibleFleetIsTold) {
  Scenario scenario = Parsed(std::string(kFleet) +
                             "tenants: [{name: a, range: [9000, 9000], traffic: "
                             "{requests_per_minute: 60, span_s: 60}}]\n");
  const auto doubts = Doubts(scenario);
  ASSERT_EQ(doubts.size(), 1u);
  EXPECT_THAT(doubts[0], HasSubstr("2 replicas can promise 10200"));
  EXPECT_TRUE(Vary("range.a", "1000-9000", scenario));
  EXPECT_TRUE(Doubts(scenario).empty());
  const SimOutcome outcome = Simulate(scenario);
  EXPECT_EQ(outcome.tenants[0].arrived, outcome.tenants[0].completed);
}

// Without replicas a fleet is as large as production would make it for the ranges.
TEST(Scenario, ReplicasFollowFromRangesAndChunks) {
  Scenario scenario = Parsed(
      "fleet: {cost_per_s: 6000, output_weight: 4, concurrency: 16}\n"
      "tenants: [{name: a, range: [3000, 9000], traffic: {requests_per_minute: 60, span_s: "
      "60}}]\n");
  EXPECT_EQ(scenario.fleet.replicas_min, 1);
  EXPECT_EQ(scenario.fleet.replicas_max, 3);
  EXPECT_NEAR(scenario.tenants[0].lane.guarantee_per_s, 3000 * (2048 + 4 * 256) / 2304.0, 1e-9);
  // Ranges are sold in whole chunks.
  EXPECT_TRUE(Vary("chunk", "4000", scenario));
  EXPECT_NEAR(scenario.tenants[0].lane.guarantee_per_s, 4000 * (2048 + 4 * 256) / 2304.0, 1e-9);
  EXPECT_EQ(scenario.fleet.replicas_min, 2);
  EXPECT_TRUE(Vary("replicas", "5", scenario));
  EXPECT_TRUE(Vary("range", "1000", scenario));
  EXPECT_EQ(scenario.fleet.replicas_min, 5);
}

TEST(Scenario, ACalibrationSaysWhatWasNotGiven) {
  policy::Calibration calibration{.cost_per_s = 5000,
                                  .weights = {.output = 3},
                                  .chunk_tokens_per_s = 250,
                                  .concurrency = {.latency = 2, .balanced = 4, .throughput = 8},
                                  .step = {.fixed_s = 0.01, .per_prefill_token_s = 1e-4}};
  std::string asked;
  auto scenario = ParseScenario(
      "fleet: {calibration: c.json, start_s: 5, overhead_ms: 2}\n"
      "tenants: [{name: a, range: [100, 600], traffic: {requests_per_minute: 60, span_s: 60}}]\n",
      "folder", [&](const std::string& path) -> Result<policy::Calibration> {
        asked = path;
        return calibration;
      });
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(asked, "folder/c.json");
  EXPECT_EQ(scenario->fleet.pool.replica_concurrency, 4);
  EXPECT_EQ(scenario->fleet.pool.replica_cost_per_s, 5000);
  EXPECT_EQ(scenario->fleet.step.step_target_s, 0.2);
  EXPECT_EQ(scenario->fleet.step.delay_s, 0.002);
  EXPECT_NEAR(scenario->tenants[0].lane.guarantee_per_s, 250 * (2048 + 3 * 256) / 2304.0, 1e-9);
  EXPECT_TRUE(Vary("strategy", "throughput", *scenario));
  EXPECT_EQ(scenario->fleet.pool.replica_concurrency, 8);
  EXPECT_TRUE(Vary("concurrency", "3", *scenario));
  EXPECT_EQ(scenario->fleet.pool.replica_concurrency, 3);
}

TEST(Scenario, SeveralCalibrationsAreTakenByTheirMedians) {
  std::vector<std::string> asked;
  const ReadCalibration read = [&](const std::string& path) -> Result<policy::Calibration> {
    asked.push_back(path);
    const double ms = path == "f/slow.json" ? 90 : 30;
    return policy::FitCalibration({.curve = {{.input_tokens = 256,
                                              .output_tokens = 32,
                                              .requests_per_s = 1000 / (4 * ms),
                                              .ttft_ms = {.p50 = ms},
                                              .tpot_ms = {.p50 = ms / 10},
                                              .latency_ms = {.p50 = 4.1 * ms},
                                              .requests = 4}}},
                                  {});
  };
  const std::string tenant = "tenants: [{name: a, traffic: {requests_per_minute: 60, span_s: 60}}]";
  const auto pooled = ParseScenario(
      "fleet: {calibration: [one.json, slow.json, two.json], parallel: 8}\n" + tenant, "f", read);
  ASSERT_TRUE(pooled) << pooled.error().message;
  EXPECT_THAT(asked, ElementsAre("f/one.json", "f/slow.json", "f/two.json"));
  const auto one =
      ParseScenario("fleet: {calibration: one.json, parallel: 8}\n" + tenant, "f", read);
  EXPECT_EQ(pooled->fleet.step, one->fleet.step);
  EXPECT_EQ(pooled->fleet.step.slots, 8);
  const auto none = ParseScenario("fleet: {calibration: {file: x}}\n" + tenant, "f", read);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("must name a file, or list files"));
}

// Prompts that begin alike go where their beginning is, and are not computed again.
TEST(Simulation, SharedPrefixesAreCachedAndRouted) {
  const auto run = [](const std::string& prefix, const std::string& cache) {
    return Simulate(
        Parsed("fleet: {step: {fixed_ms: 10, prefill_us: 100, decode_us: 500}, cost_per_s: 6000, "
               "concurrency: 16, replicas: [4, 4], prefix_cache_tokens: " +
               cache +
               "}\ntenants: [{name: a, traffic: {requests_per_minute: 120, input_tokens: 2000, "
               "output_tokens: 50, span_s: 600, prefix: " +
               prefix + "}}]\n"));
  };
  const SimOutcome none = run("{share: 0}", "100000");
  const SimOutcome few = run("{share: 1, tokens: 1600, count: 4}", "100000");
  const SimOutcome small = run("{share: 1, tokens: 1600, count: 400}", "3200");
  const auto cached = [](const SimOutcome& outcome) {
    const TenantOutcome& tenant = outcome.tenants[0];
    return static_cast<double>(tenant.cached_tokens) / static_cast<double>(tenant.input_tokens);
  };
  EXPECT_EQ(cached(none), 0);
  EXPECT_GT(cached(few), 0.7);  // 1,600 of 2,000, but for the first ones.
  EXPECT_LE(cached(few), 0.8);
  EXPECT_LT(cached(small), 0.1);
  EXPECT_LT(few.tenants[0].ttft_us.Quantile(0.5), none.tenants[0].ttft_us.Quantile(0.5) / 2);
}

// Users with one request each under way: Little's law holds, and a pause is part of the round.
TEST(Simulation, UsersSendTheNextRequestWhenTheLastHasEnded) {
  const auto run = [](const std::string& users) {
    return Simulate(Parsed(std::string(kFleet) +
                           "tenants: [{name: a, traffic: {requests: 400, input_tokens: 500, "
                           "output_tokens: 40, " +
                           users + "}}]\n"));
  };
  for (const int users : {1, 3, 12}) {
    for (const double think_s : {0.0, 0.5}) {
      const SimOutcome outcome = run(fmt::format("users: {}, think_s: {}", users, think_s));
      const TenantOutcome& tenant = outcome.tenants[0];
      SCOPED_TRACE(testing::Message() << users << " users, " << think_s);
      EXPECT_EQ(tenant.completed, 400u);
      const double latency_s = tenant.latency_us.Quantile(0.5) * 1e-6;
      const double expected_s = 400.0 / users * (latency_s + think_s);
      EXPECT_NEAR(outcome.span_s / expected_s, 1, 0.1);
    }
  }
  // One after another, nothing ever waits.
  EXPECT_NEAR(run("users: 1").tenants[0].ttft_us.Quantile(0.99), 10e3 + 500 * 100, 1e3);
}

TEST(Simulation, UsersWhoAreRefusedComeToAnEnd) {
  const SimOutcome outcome = Simulate(
      Parsed("fleet: {step: {fixed_ms: 10, prefill_us: 100, decode_us: 500}, cost_per_s: 6000, "
             "concurrency: 2, replicas: [1, 1], queue_max: 1}\n"
             "tenants: [{name: a, traffic: {requests: 50, users: 8, input_tokens: 500, "
             "output_tokens: 40}}]\n"));
  const TenantOutcome& tenant = outcome.tenants[0];
  EXPECT_GT(tenant.refusals(), 0u);
  EXPECT_EQ(tenant.completed + tenant.refusals(), 50u);
}

TEST(Scenario, UsersExcludeARate) {
  const auto message = [](const std::string& traffic) {
    const auto scenario = ParseScenario(
        std::string(kFleet) + "tenants: [{name: a, traffic: {" + traffic + "}}]", ".");
    return scenario ? "" : scenario.error().message;
  };
  EXPECT_THAT(message("users: 2, requests_per_minute: 5"), HasSubstr("and users exclude"));
  EXPECT_THAT(message("users: 0"), HasSubstr("traffic.users must be a number from 1 to"));
  EXPECT_THAT(message("think_s: 2, requests_per_minute: 5"), HasSubstr("needs users"));
  EXPECT_THAT(message("requests: 2, requests_per_minute: 5"), HasSubstr("needs users"));
  EXPECT_THAT(message("input_tokens: 5"), HasSubstr("or name a trace, or users"));
}

TEST(SimPrefixCache, KeepsBeginningsAndForgetsTheOldest) {
  SimPrefixCache cache(4);
  const std::vector<std::uint64_t> a{1, 2, 3};
  const std::vector<std::uint64_t> b{1, 2, 9};
  const std::vector<std::uint64_t> c{7, 8};
  EXPECT_EQ(cache.Use(a), 0u);
  EXPECT_EQ(cache.Use(a), 3u);
  EXPECT_EQ(cache.Use(b), 2u);
  EXPECT_EQ(cache.Use(c), 0u);  // 3 and 9 go: what others begin with stays.
  EXPECT_EQ(cache.Use(b), 2u);
  EXPECT_EQ(SimPrefixCache(0).Use(a), 0u);
  cache.Clear();
  EXPECT_EQ(cache.Use(c), 0u);
}

TEST(SimulationText, EveryFormSaysTheSame) {
  const std::vector<SimRun> runs = {
      {.name = "policy=penstock", .outcome = Simulate(Parsed(Flood("penstock")))},
      {.name = "policy=fifo", .outcome = Simulate(Parsed(Flood("fifo")))}};
  EXPECT_THAT(SimulationTable(runs), HasSubstr("policy=fifo"));
  const std::string csv = SimulationCsv(runs);
  trace::CsvRows rows(csv);
  std::vector<std::string> cells;
  ASSERT_TRUE(rows.Next(cells));
  const std::size_t columns = cells.size();
  std::size_t count = 0;
  for (; rows.Next(cells); ++count) {
    EXPECT_EQ(cells.size(), columns);
    EXPECT_EQ(cells[0], count < 2 ? "policy=penstock" : "policy=fifo");
    EXPECT_EQ(cells[3], count % 2 == 0 ? "good" : "flood");
  }
  EXPECT_EQ(count, 4u);
  EXPECT_THAT(SimulationMarkdown(runs, "flood"), HasSubstr("| policy=fifo | "));
  const boost::json::value json = boost::json::parse(SimulationJson(runs));
  EXPECT_EQ(json.at("runs").as_array().size(), 2u);
  EXPECT_EQ(json.at("runs").at(0).at("tenants").at(0).at("name").as_string(), "good");
  const std::vector<SimRun> sweep = {
      {.name = "policy=fifo replicas=1", .outcome = runs[1].outcome},
      {.name = "policy=fifo replicas=2", .outcome = runs[1].outcome},
      {.name = "policy=penstock replicas=1", .outcome = runs[0].outcome}};
  const std::string lines = SimulationPage(sweep, "sweep");
  EXPECT_THAT(lines, HasSubstr("good, fifo"));  // A line for what the other sweeps tell apart.
  EXPECT_THAT(lines, HasSubstr("flood, penstock"));
  const std::string page = SimulationPage(runs, "<flood>");
  EXPECT_THAT(page, HasSubstr("Simulation of &lt;flood&gt;"));
  EXPECT_THAT(page, HasSubstr("Attainment against cost"));
}

}  // namespace
}  // namespace penstock::plan
