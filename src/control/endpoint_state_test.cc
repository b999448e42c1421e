#include "control/endpoint_state.h"

#include <gtest/gtest.h>

#include <map>

namespace penstock::control {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class EndpointStateTest : public testing::Test {
 protected:
  static EndpointConfig Config(std::vector<std::string> names) {
    EndpointConfig config;
    for (std::string& name : names) {
      config.routes.push_back({name, 100});
      config.served_entities.push_back({.name = std::move(name), .entity_name = "a.b.c"});
    }
    return config;
  }
  PoolLookup Pools() {
    return [this](const ServedEntity& entity) { return pools_[entity.name]; };
  }
  UpdateDecision Decide(Duration waited = seconds(1)) {
    return DecideUpdate(endpoint_, Pools(), waited, {});
  }

  Endpoint endpoint_;
  std::map<std::string, PoolView> pools_;
};

TEST_F(EndpointStateTest, CreationIsPendingUntilAllAreThere) {
  endpoint_.pending = Config({"x", "y"});
  endpoint_.update = UpdateState::kInProgress;
  pools_["x"] = {.status = {.wanted = 1, .ready = 1}, .first = 1};
  pools_["y"] = {.status = {.wanted = 3, .ready = 2}, .first = 3};
  EndpointStatus status = StatusOf(endpoint_, Pools());
  EXPECT_FALSE(status.ready);
  EXPECT_EQ(status.pending[0].deployment, Deployment::kReady);
  EXPECT_EQ(status.pending[1].deployment, Deployment::kCreating);
  EXPECT_EQ(Decide().step, UpdateStep::kNone);
  pools_["y"].status.ready = 3;
  EXPECT_EQ(Decide().step, UpdateStep::kApply);
}

TEST_F(EndpointStateTest, OldServesUntilTheNewIsReady) {
  endpoint_.config = Config({"old"});
  endpoint_.pending = Config({"new"});
  endpoint_.update = UpdateState::kInProgress;
  pools_["old"].status = {.wanted = 1, .ready = 1};
  pools_["new"].status = {.wanted = 1, .ready = 0};
  EXPECT_TRUE(StatusOf(endpoint_, Pools()).ready);
  EXPECT_EQ(Decide().step, UpdateStep::kNone);
  pools_["new"].status.failures = 5;
  pools_["new"].status.message = "A replica failed 5 times in a row; last: x.";
  const UpdateDecision failed = Decide();
  EXPECT_EQ(failed.step, UpdateStep::kFail);
  EXPECT_NE(failed.message.find("5 times"), std::string::npos);
  endpoint_.update = UpdateState::kFailed;
  endpoint_.update_message = failed.message;
  const EndpointStatus status = StatusOf(endpoint_, Pools());
  EXPECT_TRUE(status.ready);  // Of the old one.
  EXPECT_EQ(status.pending[0].deployment, Deployment::kFailed);
  EXPECT_EQ(Decide().step, UpdateStep::kNone);  // Given up.
}

TEST_F(EndpointStateTest, LackOfCapacityFailsTheUpdateAfterItsTime) {
  endpoint_.pending = Config({"x"});
  endpoint_.update = UpdateState::kInProgress;
  pools_["x"].status = {.wanted = 1, .no_capacity = "a replica needs 2 cores, 0 of 2 are free"};
  EXPECT_EQ(Decide(minutes(9)).step, UpdateStep::kNone);
  const UpdateDecision failed = Decide(minutes(10));
  EXPECT_EQ(failed.step, UpdateStep::kFail);
  EXPECT_EQ(failed.message,
            "RESOURCE_EXHAUSTED: no capacity within 600 s: a replica needs 2 cores, 0 of 2 are "
            "free.");
  // With nothing to fall back on, attempts go on; if they succeed, it is in effect after all.
  endpoint_.update = UpdateState::kFailed;
  EXPECT_EQ(Decide(minutes(11)).step, UpdateStep::kNone);
  pools_["x"].status = {.wanted = 1, .ready = 1};
  EXPECT_EQ(Decide(minutes(12)).step, UpdateStep::kApply);
}

TEST_F(EndpointStateTest, OneFailureAbortsTheOthers) {
  endpoint_.config = Config({"old"});
  endpoint_.pending = Config({"good", "bad"});
  endpoint_.update = UpdateState::kFailed;
  pools_["good"].status.ready = 1;
  const EndpointStatus status = StatusOf(endpoint_, Pools());
  EXPECT_EQ(status.pending[0].deployment, Deployment::kAborted);
  EXPECT_EQ(status.pending[1].deployment, Deployment::kFailed);
}

TEST_F(EndpointStateTest, ScaledToZeroIsReady) {
  endpoint_.config = Config({"x"});
  pools_["x"].status = {.wanted = 0};
  EndpointStatus status = StatusOf(endpoint_, Pools());
  EXPECT_TRUE(status.ready);
  EXPECT_NE(status.config[0].message.find("Scaled to zero"), std::string::npos);
  pools_["x"].status = {.wanted = 1};
  status = StatusOf(endpoint_, Pools());
  EXPECT_FALSE(status.ready);
  EXPECT_EQ(status.config[0].deployment, Deployment::kRecovering);
}

TEST_F(EndpointStateTest, WithoutAConfigurationItIsNotReady) {
  EXPECT_FALSE(StatusOf(endpoint_, Pools()).ready);
  EXPECT_EQ(Decide().step, UpdateStep::kNone);
}

}  // namespace
}  // namespace penstock::control
