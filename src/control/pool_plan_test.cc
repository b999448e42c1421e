#include "control/pool_plan.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::control {
namespace {

// A replica does 1000 cost/s, and a token is a token: 850 tokens/s can be promised of it.
policy::Calibration Calibrated() {
  policy::Calibration calibration;
  calibration.cost_per_s = 1000;
  calibration.weights = {.output = 1};
  calibration.chunk_tokens_per_s = 212;
  return calibration;
}

Result<ServedModel> Known(const ServedEntity&) {
  return ServedModel{.source = "/m.gguf", .task = "llm/v1/chat", .calibration = Calibrated()};
}
Result<ServedModel> Unknown(const ServedEntity&) {
  return ServedModel{.source = "/m.gguf", .task = "llm/v1/chat"};
}

ServedEntity Entity(std::int64_t minimum, std::int64_t maximum, std::int64_t version = 1) {
  return {.name = "m",
          .entity_name = "a.b.c",
          .entity_version = version,
          .throughput = policy::ThroughputRange{.minimum = minimum, .maximum = maximum}};
}

Endpoint WithConfig(const std::string& name, ServedEntity entity) {
  Endpoint endpoint{.id = "id-" + name, .name = name};
  endpoint.config = EndpointConfig{.served_entities = {std::move(entity)}, .routes = {{"m", 100}}};
  return endpoint;
}

std::map<std::string, PoolWant> Plan(const std::vector<Endpoint>& endpoints,
                                     const ModelLookup& models = Known) {
  std::map<std::string, PoolWant> plan;
  for (const Endpoint& endpoint : endpoints) EXPECT_TRUE(AddToPlan(endpoint, models, plan));
  FinishPlan(plan);
  return plan;
}

TEST(PoolPlan, KeepsEachEndpointsPromise) {
  const auto plan =
      Plan({WithConfig("one", Entity(850, 1700)), WithConfig("two", Entity(851, 851))});
  ASSERT_EQ(plan.size(), 2u);
  const PoolWant& one = plan.at(PoolIdOf("id-one", Entity(0, 1)));
  EXPECT_EQ(one.minimum, 1);
  EXPECT_EQ(one.maximum, 2);
  EXPECT_EQ(one.label, "one");
  EXPECT_EQ(plan.at(PoolIdOf("id-two", Entity(0, 1))).minimum, 2);
}

TEST(PoolPlan, SharedEndpointsAddUpAsCost) {
  ServedEntity entity = Entity(212, 424);
  entity.isolation = policy::Isolation::kShared;
  const auto plan = Plan({WithConfig("a", entity), WithConfig("b", entity), WithConfig("c", entity),
                          WithConfig("d", entity)});
  ASSERT_EQ(plan.size(), 1u);
  const PoolWant& pool = plan.begin()->second;
  EXPECT_EQ(pool.minimum, 1);  // 848 of 850: each alone would need one, too.
  EXPECT_EQ(pool.maximum, 2);
  EXPECT_EQ(pool.endpoints.size(), 4u);
  EXPECT_DOUBLE_EQ(pool.guaranteed_cost_per_s, 848);
}

TEST(PoolPlan, ZeroIsAllowedOnlyWhereEverybodyAllowsIt) {
  EXPECT_EQ(Plan({WithConfig("a", Entity(0, 424))}).begin()->second.minimum, 0);
  ServedEntity zero = Entity(0, 424);
  ServedEntity one = Entity(212, 424);
  zero.isolation = one.isolation = policy::Isolation::kShared;
  EXPECT_EQ(Plan({WithConfig("a", zero), WithConfig("b", one)}).begin()->second.minimum, 1);
}

TEST(PoolPlan, UncalibratedModelsGetOneReplica) {
  const PoolWant pool = Plan({WithConfig("a", Entity(5000, 90'000))}, Unknown).begin()->second;
  EXPECT_EQ(pool.minimum, 1);
  EXPECT_EQ(pool.maximum, 1);
}

TEST(PoolPlan, AnUpdateNeedsItsReplicasBeforeItIsInEffect) {
  Endpoint endpoint = WithConfig("a", Entity(212, 424));
  endpoint.pending =
      EndpointConfig{.served_entities = {Entity(2550, 2550)}, .routes = {{"m", 100}}};
  endpoint.update = UpdateState::kInProgress;
  auto plan = Plan({endpoint});
  ASSERT_EQ(plan.size(), 1u);  // The same model version: the same pool, grown.
  EXPECT_EQ(plan.begin()->second.first, 3);
  // Of another version: a pool of its own, beside the old one.
  endpoint.pending->served_entities[0].entity_version = 2;
  plan = Plan({endpoint});
  EXPECT_EQ(plan.size(), 2u);
  // Given up: only the old one stays.
  endpoint.update = UpdateState::kFailed;
  EXPECT_EQ(Plan({endpoint}).size(), 1u);
  endpoint.config.reset();
  EXPECT_EQ(Plan({endpoint}).size(), 1u);  // Nothing else to serve: goes on trying.
}

TEST(PoolPlan, SaysWhichModelIsMissing) {
  std::map<std::string, PoolWant> plan;
  const auto missing = [](const ServedEntity& entity) -> Result<ServedModel> {
    return Fail(Code::kNotFound, entity.entity_name + " does not exist");
  };
  EXPECT_FALSE(AddToPlan(WithConfig("a", Entity(1, 1)), missing, plan));
}

TEST(Level, IsWholeChunksWithinTheRange) {
  const ServedEntity entity = Entity(212, 1272);
  EXPECT_EQ(LevelOf(entity, 0, Calibrated()), 0);
  EXPECT_EQ(LevelOf(entity, 1, Calibrated()), 848);
  EXPECT_EQ(LevelOf(entity, 2, Calibrated()), 1272);
  EXPECT_EQ(LevelOf(Entity(100, 300), 1, std::nullopt), 100);
  EXPECT_EQ(LevelOf(Entity(0, 300), 1, std::nullopt), 300);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    policy::Calibration known = Calibrated();
    known.chunk_tokens_per_s = 1 + static_cast<std::int64_t>(random.Below(400));
    const auto minimum = static_cast<std::int64_t>(random.Below(5)) * known.chunk_tokens_per_s;
    const auto maximum =
        minimum + static_cast<std::int64_t>(1 + random.Below(5)) * known.chunk_tokens_per_s;
    const ServedEntity any = Entity(minimum, maximum);
    const EntityNeed need = NeedOf(any, known);
    EXPECT_EQ(LevelOf(any, need.maximum, known), maximum);  // What was sold can be reached.
    const std::int64_t level = LevelOf(any, std::max(1, need.minimum), known);
    EXPECT_GE(level, minimum);
    EXPECT_EQ(level % known.chunk_tokens_per_s, 0);
  }
}

TEST(PoolPlan, ALogsNameTellsItsEndpoint) {
  for (const char* label : {"chat", "gpt-4.1-mini", "a.b.c", "shared"}) {
    const PoolWant pool{.id = "0123456789abcdef", .label = label, .model = {}, .served = {}};
    for (const int place : {0, 7, 12}) {
      const std::string name = LogNameOf(pool, place);
      EXPECT_EQ(LabelOfLog(name + ".log"), label);
      EXPECT_EQ(LabelOfLog(name + ".log.1"), label);
    }
  }
  for (const char* odd : {"", ".", ".log", "x", "x.log", "...", "a.log.log"}) {
    (void)LabelOfLog(odd);  // Whatever lies in the folder.
  }
}

}  // namespace
}  // namespace penstock::control
